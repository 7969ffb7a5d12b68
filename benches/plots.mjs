// Line plots as SVG: what grows, and how. Readable on light and dark pages.

const SIZE = { width: 640, height: 400 };
const AREA = { left: 76, right: 620, top: 48, bottom: 340 };
const COLORS = ['#2563eb', '#d97706', '#059669', '#dc2626', '#7c3aed'];

/**
 * Places on an axis with labels: powers of ten (or of two, where those are few) on a logarithmic one, else round steps.
 * @param {number} low
 * @param {number} high
 * @returns {number[]} from within [low, high]
 */
export function ticks(low, high, log) {
  if (log) {
    const powers = (base) => {
      const first = Math.ceil(Math.log(low) / Math.log(base) - 1e-9);
      const last = Math.floor(Math.log(high) / Math.log(base) + 1e-9);
      return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => base ** (first + i));
    };
    const tens = powers(10);
    if (tens.length >= 3) return tens;
    const twos = powers(2);
    return twos.filter((_, at) => at % Math.ceil(twos.length / 8) === 0);
  }
  const rough = (high - low) / 5;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * unit).find((size) => size >= rough);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

const label = (value) => (Math.abs(value) >= 1000 ? value.toLocaleString('en-US') : String(Number(value.toPrecision(3))));
const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** From values to places between `from` and `to`. A linear axis begins at 0. */
function axis(values, log, from, to) {
  const low = log ? Math.min(...values) : 0;
  const high = Math.max(...values);
  const of = log ? Math.log : (value) => value;
  const width = of(high) - of(low) || 1;
  return { low, high, log, place: (value) => from + ((of(value) - of(low)) / width) * (to - from) };
}

/**
 * @param {{title: string, x: {label: string, log?: boolean}, y: {label: string, log?: boolean},
 *   series: {name: string, points: [number, number][]}[]}} plot
 * @returns {string} the file
 */
export function plotSvg({ title, x, y, series }) {
  const points = series.flatMap((line) => line.points);
  const across = axis(
    points.map(([at]) => at),
    x.log,
    AREA.left,
    AREA.right,
  );
  const up = axis(
    points.map(([, value]) => value),
    y.log,
    AREA.bottom,
    AREA.top,
  );
  const round = (number) => Number(number.toFixed(1));
  const text = (at, down, anchor, content, more = '') =>
    `<text x="${round(at)}" y="${round(down)}" text-anchor="${anchor}"${more}>${escaped(content)}</text>`;
  const line = (x1, y1, x2, y2) => `<line class="grid" x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}"/>`;
  const grid = [
    ...ticks(across.low, across.high, x.log).flatMap((value) => [
      line(across.place(value), AREA.top, across.place(value), AREA.bottom),
      text(across.place(value), AREA.bottom + 18, 'middle', label(value)),
    ]),
    ...ticks(up.low, up.high, y.log).flatMap((value) => [
      line(AREA.left, up.place(value), AREA.right, up.place(value)),
      text(AREA.left - 8, up.place(value) + 4, 'end', label(value)),
    ]),
  ];
  const lines = series.flatMap(({ points: own }, at) => {
    const color = COLORS[at % COLORS.length];
    const places = own.map(([value, height]) => [round(across.place(value)), round(up.place(height))]);
    return [
      `<polyline points="${places.map((place) => place.join(',')).join(' ')}" fill="none" stroke="${color}" stroke-width="2"/>`,
      ...places.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3" fill="${color}"/>`),
    ];
  });
  const keys = series.map(({ name }, at) =>
    text(AREA.left + 8, AREA.top + 16 + at * 16, 'start', name, ` style="fill:${COLORS[at % COLORS.length]}"`),
  );
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE.width} ${SIZE.height}" role="img" aria-label="${escaped(title).replaceAll('"', '&quot;')}">`,
    '<style>text{font:12px system-ui,sans-serif;fill:#333}.title{font-size:15px;font-weight:600}.grid{stroke:#8884}',
    '@media (prefers-color-scheme:dark){text{fill:#ddd}}</style>',
    text(SIZE.width / 2, 24, 'middle', title, ' class="title"'),
    ...grid,
    ...lines,
    ...keys,
    text((AREA.left + AREA.right) / 2, SIZE.height - 20, 'middle', x.label),
    `<text transform="translate(18 ${(AREA.top + AREA.bottom) / 2}) rotate(-90)" text-anchor="middle">${escaped(y.label)}</text>`,
    '</svg>',
  ].join('\n')}\n`;
}
