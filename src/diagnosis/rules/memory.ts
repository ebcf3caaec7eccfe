import { rulesOf, type Rule } from './rule.js';

export const MEMORY: readonly Rule[] = rulesOf('memory.oom', [
  [
    'killer',
    /\boom[-_ ]kill(?:er|ed)?\b|Out of memory: Kill|Killed process \d+|invoked oom|Memory cgroup out of memory|killed by (?:the )?(?:OOM|oom)|System is deadlocked on memory|oom_reaper|systemd-oomd.{0,30}Killed|Free swap += 0kB|OOMKilled/i,
    0.95,
    'the kernel killed a process for want of memory',
  ],
  [
    'allocation',
    /Cannot allocate memory|\bENOMEM\b|errno 12\b|(?:Out of|out of|Not enough|not enough|Insufficient|insufficient|ran out of|run out of|low on|exhausted?) (?:available |free |system |physical |virtual |heap |GPU )?memory|(?:virtual |system )?memory (?:is )?exhausted|std::bad_alloc|bad_alloc|\bMemoryError\b|heap out of memory|OutOfMemory(?:Error)?|page allocation failure|(?:could not|cannot|unable to|failed to|can't) (?:allocate|reserve|malloc)\b.{0,40}(?:memory|bytes|[MKG]i?B|buffer|heap)|memory allocation (?:of \d+ bytes )?failed|alloc(?:ation)? fail(?:ed|ure)|cannot set up guest memory|Too many heap sections/i,
    0.88,
    'there was not enough memory',
    { unless: /kexec|grub|Press any key|loop|PCI|BAR \d|crashkernel/i },
  ],
  [
    'signal-9',
    /(?:terminated|killed|failed|exited)\b.{0,40}(?:signal|SIGKILL|status)[ :(]*(?:9\b|SIGKILL|KILL)|Killed signal terminated program|\(signal: 9|\[Killed\]|due to signal 9|exit(?:ed)?(?: with)? (?:code|status):? 137\b|returned 137\b|status=9\/KILL|signal 9 \(Killed\)|code 137\b|^(?:\S+: )?(?:line \d+: +\d+ )?Killed\b\s*(?:$|[\w/.-]+)/i,
    0.82,
    'a process was killed from outside, as the kernel does where memory runs out',
    { unless: /timed out|timeout|stop-sigterm/i },
  ],
]);
