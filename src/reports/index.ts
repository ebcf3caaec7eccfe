import { htmlReporter } from './html.js';
import { jsonReporter } from './json.js';
import { junitReporter } from './junit.js';
import { markdownReporter } from './markdown.js';
import type { Reporter, ReportFormat } from './reporter.js';

/** Every format of report by its name. */
export const reporters: Readonly<Record<ReportFormat, Reporter>> = {
  json: jsonReporter,
  junit: junitReporter,
  html: htmlReporter,
  markdown: markdownReporter,
};

export { renderAnnotations } from './annotations.js';
export { comparisonLines } from './comparison.js';
export { renderSuiteHtml } from './suite-html.js';
export { renderSuiteJunit } from './junit.js';
export { renderSuiteMarkdown } from './markdown.js';
export { renderTerminalSummary } from './terminal.js';
