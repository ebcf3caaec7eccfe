import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { runCommand } from '../../../src/host/process.js';
import type { ReportSource } from '../../../src/reports/reporter.js';
import { lookOf } from '../../../src/reports/outcome.js';
import { reporters } from '../../../src/reports/index.js';
import {
  ATTACKS,
  everyRun,
  failed,
  healed,
  hostile,
  hostileEvents,
  installerEvents,
  passed,
  sourceOf,
} from './fixtures.js';
import { toolIsHere } from './tool.js';

const render = (source: ReportSource) => reporters.html.render(source);

describe('html', () => {
  it.each(Object.entries(everyRun))('%s begins with its verdict and story', async (_, run) => {
    const page = await render(sourceOf(run));
    const { key, word, sign } = lookOf(run.verdict);
    expect(page).toContain(`<div class="verdict ${key}">`);
    expect(page).toContain(`<span class="badge">${sign} ${word}</span>`);
  });

  it('never shows healed as a plain pass', async () => {
    const page = await render(sourceOf(healed));
    expect(page).not.toContain('class="verdict passed"');
    expect(page).toContain('this configuration does not install without these changes');
    expect(page).toContain('nixproof patch vm-20260105-h3al');
  });

  it('tells what healed it, what that is worth, and what it cost', async () => {
    const page = (await render(sourceOf(healed))).replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ');
    expect(page).toContain(
      'use-the-disk-there-is Name the disk that is there disk.not-found 0.90 worked 7 of 8 times worked : the installer got past the failure; it changed 1 file rerun',
    );
    expect(page).toContain('never tried before no-effect : the installer failed at the same point phase');
    expect(page).toContain('2 checkpoints, for which the machine stood still 4.1 s in all (29.0 MiB)');
  });

  it('marks the failing line among its neighbours', async () => {
    const page = await render(sourceOf(failed, () => installerEvents(1000, 20)));
    expect(page).toMatch(/<li class="is-line hit">[\s\S]{0,200}✗ failure[\s\S]{0,200}sgdisk: Problem opening/);
    expect(page).toMatch(/… [\d,]+ lines left out/);
  });

  it('plots only what was measured', async () => {
    expect(await render(sourceOf(passed))).toContain('aria-label="disk_used_percent: 0 to 66.3, last 66.3"');
    expect(await render(sourceOf({ ...passed, metrics: { empty: [], nonsense: [[0, Number.NaN]] } }))).not.toContain(
      'Metrics',
    );
  });

  it('plots the system’s metrics apart from the installer’s, with their units', async () => {
    const metrics = {
      installed_mib: [[1000, 3]],
      'installer.guest.cpu': [[1000, 7]],
      'guest.cpu': [
        [1000, 0.25],
        [6000, 0.987],
      ],
      'guest.memory.used': [[1000, 300 * 1024 * 1024]],
      'guest.network.receive': [
        [1000, 0],
        [6000, 1_572_864],
      ],
      'guest.cache.latency': [[1000, 0.042]],
    } as const;
    const page = await render(sourceOf({ ...passed, metrics }));
    const [installer = '', system = ''] = page.split('From the installer')[1]?.split('<h3>System</h3>') ?? [];
    const labels = (text: string) => [...text.matchAll(/aria-label="([^"]+: [^"]+)"/g)].map(([, label]) => label);
    expect(labels(installer)).toEqual(['installed_mib: always 3', 'installer.guest.cpu: always 7']);
    expect(labels(system)).toEqual([
      'guest.cpu: 25 % to 98.7 %, last 98.7 %',
      'guest.memory.used: always 300.0 MiB',
      'guest.network.receive: 0 bytes/s to 1.5 MiB/s, last 1.5 MiB/s',
      'guest.cache.latency: always 42 ms',
    ]);
  });

  it('names no address and allows nothing from one', async () => {
    const page = await render(sourceOf(passed, () => installerEvents(100)));
    expect(page).not.toMatch(/(?:src|href|action)=|url\(|@import|https?:/);
    expect(page).toMatch(
      /content="default-src 'none'; style-src 'sha256-[^']+'; script-src 'sha256-[^']+'; base-uri 'none'; form-action 'none'"/,
    );
  });

  it('shows the screen of a run that went wrong, in the page itself', async () => {
    const png = pngOf(720, 400);
    const page = await render({ ...sourceOf(hostile), screen: async () => png });
    const image = /<img\s[^>]*>/.exec(page)?.[0] ?? '';
    expect(image).toContain(`src="data:image/png;base64,${png.toString('base64')}"`);
    expect(image).toMatch(/alt="The screen of .{1,200}’s machine, 720 by 400 pixels; [^"<>]+"/);
    expect(image.match(/[\s"]\w+=(?=")/g)?.map((name) => name.trim())).toEqual([
      'class=',
      'width=',
      'height=',
      'alt=',
      'src=',
    ]);
    expect(page).toContain("; img-src data:; base-uri 'none'");
    expect(page.match(/<img/g)).toHaveLength(1);
  });

  it.each([
    ['there is none', undefined],
    ['it is no picture', Buffer.from('<svg onload="alert(1)">')],
    ['it is cut off', pngOf(1, 1).subarray(0, 20)],
  ])('shows no screen where %s', async (_, bytes) => {
    const page = await render({ ...sourceOf(failed), screen: async () => bytes });
    expect(page).toBe(await render(sourceOf(failed)));
  });

  it('names a screen that is too large to be sent around', async () => {
    const large = Buffer.concat([pngOf(3840, 2160), Buffer.alloc(600_000)]);
    const page = await render({ ...sourceOf(failed), screen: async () => large });
    expect(page).toContain('screen.png in the run’s folder has it (586.0 KiB).');
    expect(page).not.toMatch(/<img|img-src/);
  });

  it('is bounded for a run of a million lines, and for hostile ones', async () => {
    const long = await render(sourceOf({ ...failed, attempts: 1 }, () => installerEvents(1_000_000, 500_000)));
    const worst = await render(sourceOf({ ...failed, attempts: 6 }, () => worstEvents(5000)));
    for (const page of [long, worst]) expect(Buffer.byteLength(page)).toBeLessThan(2_000_000);
    expect(long).toContain('Attempt 1: 1,000,000 lines');
  });

  it('holds no tag and no attribute of the guest’s', async () => {
    const page = await render(sourceOf(hostile, hostileEvents));
    expect(page.match(/<script/g)).toHaveLength(1);
    const tags = page.replace(/="[^"]*"/g, '');
    expect(/<(?:img|textarea|iframe|object|a|base|link)\b|<[^>]*\son\w+/.exec(tags)?.[0]).toBeUndefined();
    expect(page).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]/);
  });
});

describe('html in a real browser', () => {
  let chromium = false;
  beforeAll(async () => {
    chromium = await toolIsHere('chromium', ['--version']);
  });

  it('runs and fetches nothing of the guest’s, and runs our filter', async ({ skip }) => {
    if (!chromium) skip('chromium is not installed');
    const { dom, requests } = await load(await render(sourceOf(hostile, hostileEvents)));
    expect(dom).toMatch(/<title>failed: &lt;script&gt;document\.title="owned"/);
    expect(requests).toEqual([]);
    expect(dom).toContain('<form class="filter">');
  });

  it('would notice: the same texts without escaping do run and fetch', async ({ skip }) => {
    if (!chromium) skip('chromium is not installed');
    const { dom, requests } = await load(`<!doctype html><title>control</title>${ATTACKS[0] ?? ''}${ATTACKS[2] ?? ''}`);
    expect(dom).toContain('<title>owned</title>');
    expect(requests).toContain('http://198.51.100.7/x.png');
  });
});

/** Loads a page in a browser whose every way out is a proxy that notes what is asked of it for the address in the attacks. */
async function load(page: string): Promise<{ readonly dom: string; readonly requests: readonly string[] }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'nixproof-report-'));
  const asked: string[] = [];
  const proxy = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.writeHead(404).end();
  });
  proxy.on('connect', (request, socket) => {
    asked.push(request.url ?? '');
    socket.destroy();
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  try {
    const file = path.join(folder, 'report.html');
    await writeFile(file, page);
    const way = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'];
    const own = [
      `--user-data-dir=${path.join(folder, 'profile')}`,
      `--proxy-server=${way}`,
      '--dump-dom',
      `file://${file}`,
    ];
    const dom = await runCommand('chromium', [...flags, ...own], { timeoutMs: 50_000 });
    // The browser's own housekeeping goes through the proxy too and is no business of the page's.
    return { dom, requests: asked.filter((url) => !/google|gvt1|chromium/.test(url)) };
  } finally {
    proxy.closeAllConnections();
    proxy.close();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The beginning of a PNG of that size, which is all that a report reads. */
function pngOf(width: number, height: number): Buffer {
  const header = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex');
  const size = Buffer.alloc(8);
  size.writeUInt32BE(width, 0);
  size.writeUInt32BE(height, 4);
  return Buffer.concat([header, size, Buffer.from([8, 2, 0, 0, 0])]);
}

/** Lines whose every character takes the most room once escaped. */
function* worstEvents(count: number): ReturnType<typeof installerEvents> {
  for (let index = 0; index < count; index += 1)
    yield { type: 'error', message: '&"'.repeat(1000), offset: index * 2000, at: 0 };
}
