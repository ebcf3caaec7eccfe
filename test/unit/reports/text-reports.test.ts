import { describe, expect, it } from 'vitest';
import { lookOf } from '../../../src/reports/outcome.js';
import { renderSuiteMarkdown, renderTerminalSummary, reporters } from '../../../src/reports/index.js';
import {
  everyRun,
  failed,
  healed,
  hostile,
  hostileEvents,
  installerEvents,
  passed,
  redChecks,
  running,
  sourceOf,
} from './fixtures.js';

const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u2066]/;

describe('json', () => {
  it.each(Object.entries({ ...everyRun, hostile }))('%s is the run itself, harmless to print', async (_, run) => {
    const text = await reporters.json.render(sourceOf(run));
    expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(run)));
    expect(text).not.toMatch(CONTROLS);
  });
});

describe('markdown', () => {
  it.each(Object.entries(everyRun))('%s begins with its verdict', async (_, run) => {
    const text = await reporters.markdown.render(sourceOf(run));
    expect(text.split('\n')[0]).toMatch(new RegExp(`^## \\S+ ${run.profile}: ${lookOf(run.verdict).word}$`));
  });

  it('shows the failing line in its surroundings', async () => {
    const text = await reporters.markdown.render(sourceOf(failed, () => installerEvents(100, 20)));
    expect(text).toContain("\n> sgdisk: Problem opening /dev/sda for reading! Error is 2 (can't find it).\n");
    expect(text.match(/^ {2}copying path/gm)).toHaveLength(2 * 11);
  });

  it('shows the recorded line where the events are elsewhere', async () => {
    expect(await reporters.markdown.render(sourceOf(failed))).toContain('```text\nsgdisk: Problem opening');
  });

  it('puts checks into a table', async () => {
    const text = await reporters.markdown.render(sourceOf(redChecks));
    expect(text).toContain('| ❌ **fail** | fail2ban is active | `inactive (dead)` |');
  });

  it('tells what healed it, what that is worth, and what to commit', async () => {
    const text = await reporters.markdown.render(sourceOf(healed));
    expect(text).toContain(
      '| `use-the-disk-there-is` Name the disk that is there | `disk.not-found` | 0.90, worked 7 of 8 times | worked: the installer got past the failure | rerun |',
    );
    expect(text).toContain('The configuration’s changes: `nixproof patch vm-20260105-h3al`');
    expect(text).toContain('2 checkpoints, for which the machine stood still 4.1 s in all (29.0 MiB)');
  });

  it('lets nothing out of its cells and fences', async () => {
    const text = await reporters.markdown.render(sourceOf(hostile, hostileEvents));
    expect(text).not.toMatch(CONTROLS);
    expect(Buffer.byteLength(text)).toBeLessThan(500_000);
    const outside = withoutFences(text);
    expect(outside.replace(/`[^`\n]*`/g, '').replace(/<\/?(?:code|br)>/g, '')).not.toMatch(/<|@|\]\(|:\/\//);
    for (const row of outside.split('\n').filter((line) => line.startsWith('| '))) {
      expect(row.replace(/[^|]/g, '').length).toBeOneOf([4, 5, 6]);
    }
  });

  it('shows several runs as one table', () => {
    const text = renderSuiteMarkdown({ suite: 'suite-1', verdict: 'healed', runs: [passed, healed] });
    expect(text).toContain('| `server` | ✅ **passed** | qemu | 4 m 0 s | 1 |');
    expect(text).toContain('| `vm` | 🩹 **healed** | qemu | 5 m 0 s | 2 |');
    expect(text).toContain('### 🩹 vm: healed');
    expect(text).not.toContain('### ✅');
  });
});

describe('the terminal summary', () => {
  it('tells verdict, cause and where to look', () => {
    const text = renderTerminalSummary([passed, failed, redChecks], {
      colour: false,
      reportOf: (run) => `/runs/${run.run}/report.html`,
      uiOf: (run) => `http://127.0.0.1:8233/${run.run}`,
    });
    expect(text).toBe(`✓ passed    server  qemu, 4 m 0 s, 1 attempt
  3 of 3 checks passed
  report    /runs/server-20260105-k3f9/report.html
  temporal  http://127.0.0.1:8233/server-20260105-k3f9
✗ failed    workstation  qemu, 2 m 10 s, 2 attempts
  failed in DISK_PARTITIONING: the installer ended with exit status 4 (disk.not-found)
  │ sgdisk: Problem opening /dev/sda for reading! Error is 2 (can't find it).
  heal wait-for-udev for disk.not-found: no-effect, the installer failed at the same point (Wait until the device is there; never tried before)
  report    /runs/workstation-20260105-f41l/report.html
  temporal  http://127.0.0.1:8233/workstation-20260105-f41l
✗ failed    server  qemu, 4 m 0 s, 1 attempt
  3 of 5 checks passed
  ✗ fail2ban is active: inactive (dead)
  report    /runs/server-20260105-r3dc/report.html
  temporal  http://127.0.0.1:8233/server-20260105-r3dc
`);
  });

  it('tells what healed it, what that is worth, and what to commit', () => {
    expect(renderTerminalSummary([healed], { colour: false })).toBe(`✚ healed    vm  qemu, 5 m 0 s, 2 attempts
  heal wait-for-udev for disk.not-found: no-effect, the installer failed at the same point (Wait until the device is there; never tried before)
  heal use-the-disk-there-is for disk.not-found: worked, the installer got past the failure (Name the disk that is there; worked 7 of 8 times)
  patch     nixproof patch vm-20260105-h3al
  2 checkpoints, for which the machine stood still 4.1 s in all (29.0 MiB)
  3 of 3 checks passed
`);
  });

  it('names no patch where no heal that worked changed a file', () => {
    const heals = healed.heals.map((heal) => ({ ...heal, files: heal.outcome === 'worked' ? 0 : 3 }));
    expect(renderTerminalSummary([{ ...healed, heals }], { colour: false })).not.toContain('nixproof patch');
  });

  it('tells whoever can say yes', () => {
    const pending = {
      name: 'wipe-the-target',
      class: 'disk.busy',
      title: 'Wipe the target disks',
      confidence: 0.7,
      commands: ['wipefs'],
      until: '2026-01-05T11:00:00.000Z',
    };
    expect(renderTerminalSummary([{ ...running, pending }], { colour: false })).toContain(
      '\n  waits     nixproof approve vm-20260105-runn wipe-the-target (Wipe the target disks), or reject\n',
    );
  });

  it('colours only where asked, and healed otherwise than passed', () => {
    expect(renderTerminalSummary(Object.values(everyRun), { colour: false })).not.toMatch(CONTROLS);
    expect(renderTerminalSummary([passed], { colour: true })).toContain('\u001b[32m✓ passed');
    expect(renderTerminalSummary([healed], { colour: true })).toContain('\u001b[33m✚ healed');
  });

  it('obeys nothing the guest sent', () => {
    const text = renderTerminalSummary([hostile], { colour: false });
    expect(text).not.toMatch(CONTROLS);
    expect(text.length).toBeLessThan(20_000);
  });
});

function withoutFences(text: string): string {
  return text.replace(/^(`{3,})text\n[\s\S]*?\n\1$/gm, '');
}
