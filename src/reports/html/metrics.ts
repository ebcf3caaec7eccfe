import type { MetricSeries, RunReport } from '../../domain/run.js';
import { systemMetricUnit, type MetricUnit } from '../../domain/system.js';
import { oneLine } from '../escape.js';
import { durationText, measureText, plural } from '../quantities.js';
import { html, ownMarkup, type Html } from './template.js';

const SERIES_SHOWN = 24;
const POINTS_SHOWN = 240;
const WIDTH = 240;
const HEIGHT = 60;
const MARGIN = 4;

/** A small plot for every metric that was measured: the system's, and those of the installer's own. */
export function metrics(run: RunReport): Html {
  const all = Object.entries(run.metrics)
    .map(([name, series]) => ({
      name,
      unit: systemMetricUnit(name),
      series: series.filter(([at, value]) => Number.isFinite(at) && Number.isFinite(value)),
    }))
    .filter(({ series }) => series.length > 0);
  if (all.length === 0) return html``;
  return html`<section aria-labelledby="metrics">
    <h2 id="metrics">Metrics</h2>
    ${group(
      'From the installer',
      all.filter(({ unit }) => unit === undefined),
    )}
    ${group(
      'System',
      all.filter(({ unit }) => unit !== undefined),
    )}
  </section>`;
}

interface Metric {
  readonly name: string;
  readonly unit: MetricUnit | undefined;
  readonly series: MetricSeries;
}

function group(title: string, all: readonly Metric[]): Html {
  if (all.length === 0) return html``;
  const more = all.length - SERIES_SHOWN;
  return html`<h3>${title}</h3>
    <div class="plots">${all.slice(0, SERIES_SHOWN).map(plot)}</div>
    ${more > 0 ? html`<p class="soft">… ${plural(more, 'metric')} left out</p>` : undefined}`;
}

function plot({ name, unit, series }: Metric): Html {
  const values = series.map(([, value]) => value);
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  const last = values.at(-1) ?? 0;
  const text = (value: number) => measureText(value, unit);
  const range = low === high ? `always ${text(low)}` : `${text(low)} to ${text(high)}, last ${text(last)}`;
  const label = oneLine(name, 100);
  return html`<figure>
    <svg
      class="plot"
      viewBox="0 0 ${WIDTH} ${HEIGHT}"
      preserveAspectRatio="none"
      role="img"
      aria-label="${label}: ${range}"
    >
      <polyline points="${ownMarkup(points(series, low, high))}" />
    </svg>
    <figcaption><code>${label}</code><span class="soft">${range}</span></figcaption>
    <p class="soft">
      ${plural(series.length, 'sample')} over ${durationText((series.at(-1)?.[0] ?? 0) - (series[0]?.[0] ?? 0))}
    </p>
  </figure>`;
}

/** The samples in the plot's coordinates; a lone or constant value is a level line. */
function points(series: MetricSeries, low: number, high: number): string {
  const from = series[0]?.[0] ?? 0;
  const span = Math.max(1, (series.at(-1)?.[0] ?? 0) - from);
  const place = ([at, value]: readonly [number, number]) => {
    const x = Math.min(WIDTH, Math.max(0, ((at - from) / span) * WIDTH));
    const share = high === low ? 0.5 : (value - low) / (high - low);
    return `${x.toFixed(1)},${(HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN)).toFixed(1)}`;
  };
  const placed = thinned(series).map(place);
  return placed.length === 1 ? `0,${HEIGHT / 2} ${WIDTH},${HEIGHT / 2}` : placed.join(' ');
}

/** At most POINTS_SHOWN samples: of every stretch its lowest and highest, so that no peak is lost. */
function thinned(series: MetricSeries): MetricSeries {
  if (series.length <= POINTS_SHOWN) return series;
  const stretch = Math.ceil((series.length * 2) / POINTS_SHOWN);
  const kept: (readonly [number, number])[] = [];
  for (let start = 0; start < series.length; start += stretch) {
    const part = series.slice(start, start + stretch);
    const low = part.reduce((a, b) => (b[1] < a[1] ? b : a));
    const high = part.reduce((a, b) => (b[1] > a[1] ? b : a));
    kept.push(...(low[0] <= high[0] ? [low, high] : [high, low]));
  }
  return kept;
}
