import type { RunReport } from '../../domain/run.js';
import { oneLine } from '../escape.js';
import { bytesText } from '../quantities.js';
import { html, ownMarkup, type Html } from './template.js';

/** A PNG begins so (PNG specification, 5.2); its first chunk is the header with width and height (11.2.2). */
const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const HEADER_BYTES = 24;
/** A report is mailed and attached: a larger picture is named, not shown. */
const SHOWN_BYTES = 500_000;

/** The machine's screen when the run had gone wrong. */
export function screenSection(run: RunReport, bytes: Uint8Array | undefined): Html {
  const png = Buffer.from(bytes ?? []);
  if (png.length < HEADER_BYTES || !png.subarray(0, SIGNATURE.length).equals(SIGNATURE)) return html``;
  return html`<section aria-labelledby="screen">
    <h2 id="screen">Screen at the end</h2>
    ${png.length > SHOWN_BYTES ? named(png) : picture(run, png)}
  </section>`;
}

function picture(run: RunReport, png: Buffer): Html {
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
  return html`<img
    class="screen"
    width="${width}"
    height="${height}"
    alt="The screen of ${oneLine(run.profile, 80)}’s machine, ${width} by ${height} pixels; its text is in console.log where the system writes to a serial console"
    src="${ownMarkup(`data:image/png;base64,${png.toString('base64')}`)}"
  />`;
}

function named(png: Buffer): Html {
  return html`<p>screen.png in the run’s folder has it (${bytesText(png.length)}).</p>`;
}
