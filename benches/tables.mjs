// Tables of figures as Markdown, which is also readable in a terminal.

/** The first column to the left, the others to the right. @param {string[]} head @param {string[][]} rows */
export function markdownTable(head, rows) {
  const all = [head, ...rows];
  const widths = head.map((_, at) => Math.max(3, ...all.map((row) => row[at].length)));
  const line = (row) => `| ${row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]) : cell.padStart(widths[at]))).join(' | ')} |`;
  const rule = `|${widths.map((width, at) => (at === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

/** Three digits that say something: 0.0123, 1.23, 12.3, 123, 1,234. */
export function digits(value) {
  if (value === 0) return '0';
  const places = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString('en-US', { minimumFractionDigits: Math.min(places, 4), maximumFractionDigits: Math.min(places, 4) });
}

const NONE = '–';
const ratioTo = (own, base) => (own && base ? `${digits(own.median)} (${(own.median / base.median).toFixed(2)} ×)` : NONE);

/**
 * Random models: each row beside ours of the same weights; above 1 ×, ours takes less time.
 * @param {{name: string, beside: string, problem?: string, agree?: number, of?: number, prefill_ms?: object, decode_ms?: object,
 *   cold_ms?: object, again_ms?: object}[]} rows
 */
export function modelTable(rows, prompt) {
  const base = (row) => rows.find(({ name }) => name === row.beside) ?? {};
  const cells = (row) => {
    const of = base(row);
    const cell = (name) => ratioTo(row[name], of[name]);
    return [
      row.name,
      cell('prefill_ms'),
      cell('decode_ms'),
      row.decode_ms ? digits(1000 / row.decode_ms.median) : NONE,
      cell('cold_ms'),
      cell('again_ms'),
      row.of ? `${row.agree} of ${row.of}` : `did not run: ${row.problem}`,
    ];
  };
  return markdownTable(
    ['', `${prompt} tokens to the first, ms`, 'a further token, ms', 'tokens/s', 'cold start, ms', 'second visit, ms', 'same tokens'],
    rows.map(cells),
  );
}

/** TopK: a row for each shape, a column for everyone. @param {{rows: number, n: number, k: number, found: object[]}[]} shapes */
export function topkTable(shapes) {
  const notes = new Set();
  const cell = ({ name, ms, problem }) => {
    if (problem) notes.add(`${name}: ${problem}`);
    return ms ? `${digits(ms.median)}${problem ? '*' : ''}` : NONE;
  };
  const rows = shapes.map(({ rows: count, n, k, found }) => [`${count} × ${n}, k ${k}`, ...found.map(cell)]);
  return [markdownTable(['ms a call', ...shapes[0].found.map(({ name }) => name)], rows), ...[...notes].map((note) => `\n* ${note}`)].join(
    '\n',
  );
}

/** What the site shows of TopK by everyone (www/src/lib/race/measured.json): medians of those that returned the right values. */
export function topkForSite({ date, device, runs, topk }) {
  return {
    date: new Date(date).toLocaleDateString('en-GB', { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' }),
    device: device.replace(/, load .*/, ''),
    rounds: runs,
    shapes: topk.map(({ found, ...shape }) => ({
      ...shape,
      found: found.filter(({ ms, problem }) => ms && !problem).map(({ name, ms }) => ({ name, ms: Number(ms.median.toPrecision(3)) })),
    })),
  };
}
