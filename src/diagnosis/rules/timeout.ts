import { rulesOf, type Rule } from './rule.js';

export const TIMEOUT: readonly Rule[] = rulesOf('timeout', [
  [
    'waiting',
    /[Tt]im(?:ed|e|ing)[- ]?out (?:while |when )?(?:wait(?:ing|ed)?|polling|running|trying|reading|attempting|expir)|(?:waiting|waited|wait) (?:for|on|until) .{0,100}?(?:timed out|timeout|too long|expired|failed|gave up|exceeded)|[Gg]ave up (?:waiting|after|on)|giving up (?:waiting|after)|[Tt]imeout (?:expired|exceeded|occurred|reached|elapsed|while|waiting|when|hit|after|error)|(?:waited|tried|retried) (?:for )?(?:more than |over )?\d+ ?(?:s|sec|min|ms|attempts|times)/i,
    0.84,
    'something was waited for too long',
    { unless: /Connection|curl|connect to host|port 22|NFS|dhcp/i },
  ],
  [
    'systemd',
    /(?:operation|Job \S+|start|stop|startup|activation|state) (?:has |\S+ )?timed out|Failed with result 'timeout'|(?:start|stop|reload|watchdog|abort)[- ]?(?:\w+ )?timed out|\.(?:device|mount|service|swap|target|socket)\S*:? .{0,40}timed out|watchdog (?:timeout|has detected|: BUG|did not)|result 'watchdog'/i,
    0.9,
    'systemd waited too long for a unit',
  ],
  [
    'program',
    /TimeoutExpired|TimeoutError|TimeoutException|\btimed out after\b|deadline exceeded|DeadlineExceeded|DEADLINE_EXCEEDED|exceeded (?:the |its |a )?(?:maximum |time ?|allowed |job )*(?:execution )?(?:time ?limit|timeout|execution time|time|deadline)\b|time ?limit (?:was |is |has been )?(?:exceeded|reached)|took (?:too long|longer than)|(?:test|command|process|build|job|script|step|request|task|operation|installation|install|run|needle|boot|script_run|assert_screen|wait_serial)\b.{0,60} (?:has |have |had )?timed out|\btimed out\b|max(?:imum)? (?:time|job_time|execution time)\b.{0,30}(?:exceed|reach)|(?:did not|didn't|never|not) (?:\w+ ){1,6}(?:within|in) (?:the )?(?:time|\d+ ?(?:s|sec|min|ms|m)\w*|allotted|timeout)|no candidate needle|wait_serial.{0,40}fail/i,
    0.76,
    'something took longer than it may',
    {
      unless:
        /Connection|curl|connect to|ssh|dial tcp|i\/o timeout|dns|lookup|HTTP|fetch|download|NFS|dhcp|resolv|seconds of silence|TLS/i,
    },
  ],
  [
    'hung',
    /blocked for more than \d+ seconds|hung task|soft lockup|hard LOCKUP|\brcu\w{0,20} (?:self-)?detected stall|self-detected stall|NMI watchdog|(?:is|seems|appears|got) (?:to be )?(?:hung|stuck|hanging|frozen|unresponsive)\b|no (?:output|response) (?:has been received|received|for|from|in|within)/i,
    0.7,
    'something hangs',
    { evenAsWarning: true },
  ],
]);
