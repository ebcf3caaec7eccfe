import { rulesOf, type Rule } from './rule.js';

export const SERVICE: readonly Rule[] = rulesOf('service.failed', [
  [
    'result',
    /(?<![\w@.\\:-])(?<unit>[\w@.\\:-]{1,256}\.(?:service|socket|timer|target|path|slice|scope)): (?:Failed|Main process exited|Control process exited|Start request repeated|Unit entered failed|Scheduled restart job|.{0,80}(?:fail|error|killed|dumped|bad))|Failed with result '(?!timeout|oom-kill)|Main process exited, code=(?:exited|killed|dumped)|Start request repeated too quickly|Unit \S+ (?:has )?(?:entered failed state|failed)|status=2\d\d\/[A-Z_]+/i,
    0.82,
    'the unit failed: {unit}',
    { unless: /\.mount|status=0|Succeeded/i },
  ],
  [
    'start',
    /Failed to (?:start|restart|reload|stop|enable|activate|isolate|spawn|load environment|execute) (?!SSH|ssh|kvm|the VM|build|download|transaction|SNMP)(?:job )?['"‘]?(?<unit>[^.'"\n]{1,80})|Job for (?<job>\S+) (?:failed|canceled)|systemctl\b.{0,100}(?:exit status|exit code|failed|returned)|\[(?:FAILED|\s*failed\s*)\] (?:Failed to start)?|Dependency failed for (?!Local File|Remote File|File System|\/|Initrd Root)|[Uu]nit \S+\.\w+ (?:could not be found|not found|has (?:a )?bad|is masked|not loaded)|bad unit file|has a bad unit|(?:Failed|failed) at step [A-Z_]+/i,
    0.78,
    'systemd could not start a unit: {unit}{job}',
    { unless: /ignor(?:ed|ing)|Failed to (?:start|execute) (?:.{0,40})(?:kexec|grub|mkfs|mount\b)/i },
  ],
  [
    'switch',
    /(?:the )?following units failed|error\(s\) occurred while switching|[Aa]ctivation script snippet '(?<snippet>[^']*)' failed|warning: error\(s\)|(?:activation|switch)(?: script| to configuration| of \S+)? (?:has )?failed|switch-to-configuration.{0,120}(?:fail|returned|exit|error)|exit(?:ed)? (?:with )?(?:status|code) 4\b.{0,40}switch|[Ff]ailed to (?:activate|switch)|would be clobbered|Existing file '[^']*' (?:is in the way|would be)|collision between .{0,80}home|home-manager.{0,100}(?:fail|error)|degraded\b|(?<!\d)\d{1,6} (?:loaded )?units? (?:listed|failed)|failed units?:/i,
    0.8,
    'services failed while the new configuration was switched to',
    { evenAsWarning: true, unless: /\b0 (?:loaded )?units|pool|raid|array|md\d/i },
  ],
  [
    'process',
    /exited with (?:preserve )?status \d+.{0,30}(?:service|unit|daemon)|(?:service|daemon|server|container|unit|agent)\b.{0,60}? (?:has |is |was |did |could )?(?:failed|fail(?:ed)? to start|crashed|not (?:running|active|start(?:ed)?|be started)|dead|exited unexpectedly|terminated unexpectedly|inactive \(dead\)|keeps restarting)|Active: (?:failed|activating \(auto-restart\))|CrashLoopBackOff|code=exited, status=(?!0)\d+|(?:address already in use|EADDRINUSE|bind\(\).{0,40}failed|bind: .{0,30}in use)|invoke-rc\.d: initscript \S+, action "\w+" failed|\.service.{0,30}(?:is )?(?:failed|not active)|start(?:ing)? (?:of )?(?:\S+ )?(?:service|daemon|server)\b.{0,40}fail/i,
    0.68,
    'a service did not run',
    { unless: /nix-daemon|name service|DNS server|server (?:returned|responded|refused|certificate)/i },
  ],
  [
    'program-config',
    /Failed to (?:add|parse|load|open|set up|read|apply|create|bind|initiali[sz]e|connect to bus|set|listen|register|allocate) .{0,80}/i,
    0.42,
    'a service could not do its work',
    {
      near: /systemd|\.service|status=|Main PID|daemon/i,
      unless: /ignor|kernel:|module|mount|firmware|bus: |user namespace|watchdog|credential|secret/i,
    },
  ],
]);
