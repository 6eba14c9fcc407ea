/** Makes any text safe inside HTML elements and quoted attributes. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

const STYLE = `
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #8884; text-align: right; }
th { font-weight: 600; } th.text, td.text { text-align: left; }
.scroll { overflow-x: auto; } .dim { opacity: .7; }
`;

/** One column of an HTML table. */
export interface HtmlColumn<Row> {
  readonly header: string;
  readonly value: (row: Row) => string;
  readonly isText?: boolean;
}

export function htmlTable<Row>(rows: readonly Row[], columns: readonly HtmlColumn<Row>[]): string {
  const kind = (column: HtmlColumn<Row>): string => (column.isText === true ? ' class="text"' : '');
  const head = columns.map((column) => `<th${kind(column)}>${escapeHtml(column.header)}</th>`);
  const body = rows.map((row) => {
    const cells = columns.map(
      (column) => `<td${kind(column)}>${escapeHtml(column.value(row))}</td>`,
    );
    return `<tr>${cells.join('')}</tr>`;
  });
  return `<div class="scroll"><table><tr>${head.join('')}</tr>${body.join('')}</table></div>`;
}

/**
 * A page in one file. Nothing is loaded and no script runs: the policy forbids both, whatever
 * names the body shows. `body` must be HTML already.
 */
export function htmlPage(title: string, body: string): string {
  const policy = "default-src 'none'; style-src 'unsafe-inline'";
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title><style>${STYLE}</style></head>
<body><h1>${escapeHtml(title)}</h1>
${body}
</body></html>
`;
}
