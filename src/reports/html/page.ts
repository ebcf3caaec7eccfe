import { createHash } from 'node:crypto';
import { SCRIPT } from './script.js';
import { STYLE } from './style.js';
import { html, ownMarkup, type Html } from './template.js';

function hashOf(content: string): string {
  return `'sha256-${createHash('sha256').update(content, 'utf8').digest('base64')}'`;
}

/**
 * Nothing is loaded, and nothing runs but our own style sheet and script, named by their hashes: the second wall behind escaping.
 * Pictures are in the page itself, where there are any.
 */
function policy(pictures: boolean): string {
  const images = pictures ? ' img-src data:;' : '';
  return `default-src 'none'; style-src ${hashOf(STYLE)}; script-src ${hashOf(SCRIPT)};${images} base-uri 'none'; form-action 'none'`;
}

/** A whole self-contained document. */
export function pageOf(title: string, body: Html, { pictures }: { readonly pictures: boolean }): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${ownMarkup(policy(pictures))}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="referrer" content="no-referrer" />
        <title>${title}</title>
        ${ownMarkup(`<style>${STYLE}</style>`)}
      </head>
      <body>
        ${body} ${ownMarkup(`<script>${SCRIPT}</script>`)}
      </body>
    </html> `.markup;
}
