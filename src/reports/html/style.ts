/** The report's style sheet: system fonts, light and dark by the reader's preference, one column on a phone. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #f6f8fa; --card: #ffffff; --text: #1f2328; --soft: #57606a; --line: #d0d7de; --code: #f0f3f6;
  --passed: #1a7f37; --healed: #8a5a00; --failed: #c01c28; --error: #7a3fd0; --cancelled: #57606a; --running: #0860c7;
  --on: #ffffff; --hit: #ffe9e6; --bar: #5b8def;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0d1117; --card: #161b22; --text: #e6edf3; --soft: #9da7b3; --line: #30363d; --code: #0d1117;
    --passed: #4ac26b; --healed: #e3b341; --failed: #ff7b72; --error: #c297ff; --cancelled: #9da7b3; --running: #79b8ff;
    --on: #0d1117; --hit: #4a1d1f; --bar: #5b8def;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main, header { max-width: 70rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 1.5rem; }
main { padding-bottom: 3rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem; display: flex; flex-wrap: wrap; gap: .4rem .75rem; align-items: center; }
h2 { font-size: 1.1rem; margin: 0 0 .75rem; }
h3 { font-size: .95rem; margin: 1rem 0 .4rem; }
p { margin: .4rem 0; }
h1, h2, h3, p, li, td, th, dd { overflow-wrap: anywhere; }
section, .verdict { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.25rem; margin: 1rem 0; }
.verdict { border-left: 10px solid var(--verdict); }
.badge { background: var(--verdict); color: var(--on); border-radius: 999px; padding: .1rem .85rem; font-size: 1.1rem; font-weight: 700; white-space: nowrap; }
.story { font-size: 1.1rem; }
.passed { --verdict: var(--passed); } .healed { --verdict: var(--healed); } .failed { --verdict: var(--failed); }
.error { --verdict: var(--error); } .cancelled { --verdict: var(--cancelled); } .running { --verdict: var(--running); }
.verdict.healed { border-left-style: double; outline: 2px dashed var(--healed); outline-offset: 3px; }
.soft { color: var(--soft); }
code, pre, .log { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: .85rem; }
code { overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid var(--line); }
tbody tr:last-child > * { border-bottom: 0; }
thead th, tbody th[scope=rowgroup] { color: var(--soft); font-size: .8rem; font-weight: 600; }
tbody th[scope=row] { font-weight: 500; }
thead th, .short { white-space: nowrap; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.phases { table-layout: fixed; }
.phases .name { width: 30%; } .phases .number { width: 7.5rem; }
.phases tbody th[scope=rowgroup] { padding-top: .9rem; }
.bar { display: block; width: 100%; height: 1rem; margin-top: .25rem; }
.bar .track { fill: var(--code); } .bar .fill { fill: var(--bar); } .bar .broken { fill: var(--failed); }
.status { font-weight: 700; white-space: nowrap; }
.status.is-passed { color: var(--passed); } .status.is-healed { color: var(--healed); } .status.is-failed { color: var(--failed); } .status.is-error { color: var(--error); }
.pass { color: var(--passed); } .fail { color: var(--failed); } .skip { color: var(--soft); }
tr.fail-row { background: var(--hit); color: inherit; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .3rem 1.25rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; }
figure p { font-size: .85rem; margin: 0; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-size: .85rem; display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem; overflow-wrap: anywhere; }
.plot { display: block; width: 100%; height: 4.5rem; background: var(--code); border-radius: 6px; }
.plot polyline { fill: none; stroke: var(--bar); stroke-width: 2; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.screen { display: block; max-width: 100%; height: auto; border: 1px solid var(--line); border-radius: 6px; image-rendering: pixelated; }
.log { list-style: none; margin: .5rem 0; padding: .5rem 0; background: var(--code); border: 1px solid var(--line); border-radius: 6px; }
.log li { display: grid; grid-template-columns: 5.5rem 4.75rem minmax(0, 1fr); gap: .75rem; padding: .05rem .75rem; white-space: pre-wrap; unicode-bidi: isolate; }
.log .gap { display: block; color: var(--soft); font-style: italic; padding: .3rem .75rem; }
.log .when { color: var(--soft); text-align: right; } .log .kind { color: var(--soft); }
.log .is-phase { font-weight: 700; } .log .is-error .kind, .log .hit .kind { color: var(--failed); font-weight: 700; }
.log .is-warning .kind { color: var(--healed); font-weight: 700; } .log .is-success .kind { color: var(--passed); font-weight: 700; }
.log .hit { background: var(--hit); box-shadow: inset 4px 0 var(--failed); }
.filter { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; margin: .75rem 0; }
.filter[hidden] { display: none; }
.filter input[type=search] { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--soft); border-radius: 6px; padding: .3rem .6rem; width: min(100%, 22rem); }
summary { cursor: pointer; font-weight: 600; padding: .25rem 0; }
:focus-visible { outline: 3px solid var(--running); outline-offset: 2px; }
@media (max-width: 40rem) {
  h1 { font-size: 1.3rem; }
  section, .verdict { padding: .8rem .85rem; }
  .phases thead { display: none; }
  .phases tr { display: grid; grid-template-columns: minmax(0, 1fr) max-content; border-bottom: 1px solid var(--line); padding: .3rem 0; }
  .phases tr > * { border: 0; padding: .1rem 0; } .phases .name, .phases .number { width: auto; }
  .phases .span { grid-column: 1 / -1; grid-row: 2; } .phases th[scope=rowgroup] { grid-column: 1 / -1; }
  .stack thead { position: absolute; clip-path: inset(50%); height: 1px; width: 1px; overflow: hidden; }
  .stack tr { display: block; border-bottom: 1px solid var(--line); padding: .35rem 0; } .stack tr > * { display: block; border: 0; padding: .05rem .3rem; text-align: left; }
  .stack td[data-label]::before { content: attr(data-label) ": "; color: var(--soft); }
  dl { grid-template-columns: minmax(0, 1fr); gap: 0; } dd { margin-bottom: .5rem; }
  .log li { grid-template-columns: max-content minmax(0, 1fr); gap: 0 .75rem; padding: .15rem .6rem; } .log .text { grid-column: 1 / -1; }
  .log .is-line:not(.hit) .when { display: none; }
}
@media print { body { background: #fff; } section { break-inside: avoid; } .filter { display: none; } }
`;
