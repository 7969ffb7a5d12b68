// The page: takes the options from the form (or from the address: ?run&runs=5&tokens=16&prompt=64&only=topk,crossovers,plan,webgpu,cpu,extras,twins), runs, shows tables.
import { countModel, measureCrossovers, measureExtras, measureModel, measureTopK, measureTwins } from './measure.js';
import { measurePlan } from './plan.js';

const form = document.querySelector('#options');
const status = document.querySelector('#status');
const tables = document.querySelector('#tables');
const save = document.querySelector('#save');
const query = new URLSearchParams(location.search);
const MODEL = query.get('model') ?? './models/Llama-TopK-Stories-16M/';
const TWIN = './models/Llama-Dense-Stories-16M/';

for (const name of ['runs', 'tokens', 'prompt']) if (query.has(name)) form.elements[name].value = query.get(name);
if (query.has('only')) {
  const chosen = query.get('only').split(',');
  for (const name of ['topk', 'crossovers', 'plan', 'webgpu', 'cpu', 'extras', 'twins'])
    form.elements[name].checked = chosen.includes(name);
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  run();
});
if (query.has('run')) run();

async function run() {
  const elements = form.elements;
  const number = (name) => Math.max(1, Number.parseInt(elements[name].value, 10) || 1);
  const tell = (text) => {
    status.textContent = `${text} …`;
  };
  const options = { runs: number('runs'), promptTokens: number('prompt'), newTokens: number('tokens'), url: MODEL, tell };
  const button = form.querySelector('button');
  button.disabled = true;
  tables.replaceChildren();
  try {
    const result = { date: new Date().toISOString(), model: MODEL };
    if (elements.topk.checked) {
      result.topk = await measureTopK(options);
      show('TopK', topkRows(result.topk));
    }
    if (elements.crossovers.checked) {
      result.crossovers = await measureCrossovers(options);
      show('topk() against a search in JavaScript, ms until the result is there', againstRows(result.crossovers));
      show('Crossovers: the least width from which topk() is faster', crossoverRows(result.crossovers));
    }
    if (elements.plan.checked) {
      result.plan = await measurePlan(options);
      show('The fastest constants of TopK (shaders/topk_plan.json)', planRows(result.plan));
    }
    for (const backend of ['webgpu', 'cpu']) {
      if (!elements[backend].checked) continue;
      const figures = await measureModel({ ...options, backend });
      result[backend] = figures;
      show(`Model on ${figures.backend.kind}, ${figures.backend.adapter ?? 'one thread'}`, modelRows(figures));
    }
    const there = (await navigator.gpu?.requestAdapter()) ? ['webgpu', 'cpu'] : ['cpu'];
    const backends = query.get('device') ? [query.get('device')] : there;
    if (elements.extras.checked) {
      result.extras = {};
      for (const backend of backends) {
        result.extras[backend] = await measureExtras({ ...options, backend });
        show(`Hooks and edits on ${backend}`, extraRows(result.extras[backend]));
      }
    }
    if (elements.twins.checked) {
      result.twins = {};
      for (const backend of backends) {
        const twins = await measureTwins({ ...options, urls: [MODEL, TWIN], backend });
        result.twins[backend] = twins;
        show(`TopK model and dense twin on ${backend}`, twinRows(twins));
      }
    }
    // Last: what counts stays in the way of whatever the page does from then on.
    for (const backend of ['webgpu', 'cpu']) {
      if (!result[backend]) continue;
      result[backend].counts = await countModel({ ...options, backend });
      show(`Counts on ${backend}`, countRows(result[backend].counts));
    }
    status.textContent = 'Done.';
    const href = URL.createObjectURL(new Blob([`${JSON.stringify(result, null, 2)}\n`], { type: 'application/json' }));
    save.replaceChildren(Object.assign(document.createElement('a'), { href, download: 'topk-lm-bench.json', textContent: 'Save as JSON' }));
    save.hidden = false;
    globalThis.benchmark = { result };
  } catch (error) {
    status.textContent = `It failed: ${error.message}`;
    globalThis.benchmark = { error: error.message };
  } finally {
    button.disabled = false;
  }
}

const figure = (spread) => `${spread.median.toFixed(3)} (${spread.p10.toFixed(3)}–${spread.p90.toFixed(3)})`;

function topkRows({ skipped, shapes = [] }) {
  if (skipped) return [[skipped]];
  const head = ['rows × n, k', 'topk() ms (p10–p90)', 'copy of the input', 'full sort in JavaScript'];
  return [head, ...shapes.map((s) => [`${s.rows} × ${s.n}, ${s.k}`, ...[s.topk_ms, s.copy_ms, s.javascript_sort_ms].map(figure)])];
}

function againstRows({ skipped, shapes = [] }) {
  if (skipped) return [[skipped]];
  const head = ['rows × n, k', 'a search in JavaScript', 'topk(), values on the device', 'topk(), values uploaded'];
  return [head, ...shapes.map((s) => [`${s.rows} × ${s.n}, ${s.k}`, ...[s.search, s.resident, s.uploaded].map((ms) => ms.toFixed(3))])];
}

function crossoverRows({ skipped, crossovers = [] }) {
  if (skipped) return [[skipped]];
  const width = (n) => (n === null ? 'at no width measured' : String(n));
  const rows = crossovers.map(({ rows, k, resident, uploaded }) => [String(rows), String(k), width(resident), width(uploaded)]);
  return [['rows', 'k', 'values on the device', 'values uploaded'], ...rows];
}

function planRows({ skipped, profile, tuning = {}, tried = [] }) {
  if (skipped) return [[skipped]];
  const head = [`constant, ${profile}`, 'fastest', 'tried: time by that of the value before'];
  const ratios = (name) => tried.filter((one) => one.constant === name).map(({ value, ratio }) => `${value}: ${ratio.toFixed(2)}`);
  return [head, ...Object.entries(tuning).map(([name, value]) => [name, String(value), ratios(name).join(', ')])];
}

function extraRows({ ways }) {
  const rows = Object.entries(ways).map(([name, { ms_per_token, ratio }]) => [name, figure(ms_per_token), ratio.toFixed(3)]);
  return [['a token', 'ms (p10–p90)', 'to without'], ...rows];
}

function modelRows(f) {
  return [
    ['what', 'ms (p10–p90)', 'tokens/s'],
    ['load', f.load_ms.toFixed(0), ''],
    [`prefill, ${f.prompt_tokens} tokens`, figure(f.prefill_ms), ((1000 * f.prompt_tokens) / f.prefill_ms.median).toFixed(0)],
    ['decode, one token', figure(f.decode_ms_per_token), (1000 / f.decode_ms_per_token.median).toFixed(1)],
    ...batchRows('ten seeds', f.ten_seeds, f.new_tokens),
    ...batchRows('nine strengths', f.nine_strengths, f.new_tokens),
  ];
}

function twinRows({ prompt_tokens, models, ratio }) {
  const [topk, dense] = models;
  const row = (what, name) => [what, figure(topk[name]), figure(dense[name])];
  return [
    ['what', 'TopK model, ms (p10–p90)', 'dense twin', 'twin ÷ TopK model'],
    [...row(`prefill, ${prompt_tokens} tokens`, 'prefill_ms'), ratio.prefill.toFixed(2)],
    [...row('decode, one token', 'decode_ms_per_token'), ratio.decode.toFixed(2)],
  ];
}

function batchRows(what, { generations, one_by_one_ms, together_ms, ratio }, newTokens) {
  const row = (how, ms) => [`${what}, ${how}`, figure(ms), ((1000 * generations * newTokens) / ms.median).toFixed(1)];
  return [row('one by one', one_by_one_ms), row(`together (${ratio.toFixed(2)} ×)`, together_ms)];
}

function countRows({ prompt_tokens, prefill, decode_per_token, prefill_kernels_ms, decode_kernels_ms }) {
  const kernels = Object.keys({ ...prefill_kernels_ms, ...decode_kernels_ms }).sort();
  const time = (times, kernel) => times?.[kernel]?.toFixed(3) ?? '';
  return [
    ['what', `prefill, ${prompt_tokens} tokens`, 'decode, one token'],
    ...Object.keys(prefill).map((name) => [name.replace('_', ' '), String(prefill[name]), decode_per_token[name].toFixed(2)]),
    ...kernels.map((kernel) => [`${kernel}, ms`, time(prefill_kernels_ms, kernel), time(decode_kernels_ms, kernel)]),
  ];
}

function show(title, [head, ...rows]) {
  const table = document.createElement('table');
  table.createCaption().textContent = title;
  const line = (cells, tag, parent) => {
    const row = parent.insertRow();
    for (const cell of cells) row.append(Object.assign(document.createElement(tag), { textContent: cell }));
  };
  line(head, 'th', table.createTHead());
  const body = table.createTBody();
  for (const cells of rows) line(cells, 'td', body);
  tables.append(table);
}
