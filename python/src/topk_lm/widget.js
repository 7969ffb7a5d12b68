// The page's half of a model: holds the engine, answers Python's calls (model.py lists the messages), and draws the grid of tokens by neurons.

/** Largest buffer of a message, in bytes; as in model.py. */
const PART = 4 << 20;
/** How long to wait for Python's answer before asking again, in ms; then twice as long, and so on. */
const FIRST_PAUSE = 2000;
/** How many neurons the grid shows. */
const COLUMNS = 24;
const DTYPES = { Float32Array: '<f4', Uint32Array: '<u4', Int32Array: '<i4', Uint8Array: '|u1' };

/** One engine for all models of a page. */
const SHARED = Symbol.for('topk-lm/python');

/** What a call gives, with numbers in bulk moved to `payload`: `{$: [dtype, offset, length]}`. */
function encode(value, chunks, at = { offset: 0 }) {
  if (ArrayBuffer.isView(value)) {
    const place = [DTYPES[value.constructor.name], at.offset, value.length];
    chunks.push([at.offset, new Uint8Array(value.buffer, value.byteOffset, value.byteLength)]);
    at.offset += Math.ceil(value.byteLength / 8) * 8;
    return { $: place };
  }
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return value.map((each) => encode(each, chunks, at));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, encode(each, chunks, at)]));
  }
  return value ?? null;
}

/**
 * Sets a traitlet. It also goes as a message of its own: Jupyter's front end holds changes back until the kernel has answered the last one, and
 * a kernel does not answer while a cell awaits.
 */
function set(model, name, value) {
  model.set(name, value);
  model.save_changes();
  model.send({ kind: 'state', name, value });
}

/** Exported for its test. */
export class Engine {
  /** What the grid shows: `rows[t]` is a Map of neuron → value, or undefined while unknown. */
  grid = { ids: [], tokens: [], rows: [], edits: [], promptLength: undefined };
  #model;
  /** Which page this is: others may show the same model. */
  #page = crypto.getRandomValues(new Uint32Array(2)).join('-');
  #loaded;
  #calls = new Map();
  /** How many messages were sent of a call: their order, which not every host keeps. */
  #sent = new Map();
  /** Whoever waits for a message, by the message's key. */
  #waiting = new Map();
  #isClosed = false;
  #listeners = new Set();

  constructor(model) {
    this.#model = model;
    model.on('msg:custom', (message, buffers) => this.#receive(message, buffers));
    this.#loaded = this.#load();
    this.#loaded.catch((error) => this.#status({ phase: 'failed', error: { code: error.code ?? 'internal', message: error.message } }));
  }

  onChange(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close() {
    this.#isClosed = true;
    for (const controller of this.#calls.values()) controller.abort();
    const { lm } = (await this.#loaded.catch(() => null)) ?? {};
    await lm?.dispose();
  }

  /** Shows another block: the same ids once more, with its hook. */
  async showLayer(layer) {
    const { lm } = await this.#loaded;
    const { ids, edits, promptLength } = this.grid;
    if (ids.length === 0) return;
    const hook = gridHook(lm.config, layer);
    const options = { hooks: hook ? [hook] : [], edits, logits: 'none', ...(promptLength === undefined ? {} : { promptLength }) };
    const { rows } = rowsOf(await lm.run(ids, options), hook);
    // Meanwhile a generation may have gone on, or another call or block is shown.
    const { grid } = this;
    if (edits !== grid.edits || layer !== this.#model.get('layer') || ids.some((id, at) => id !== grid.ids[at])) return;
    this.#show({ rows: hook ? [...rows, ...grid.rows.slice(ids.length)] : [] });
  }

  /** Shows the block that was chosen while a call ran with the hook of `layer`. */
  #catchUp(layer) {
    const chosen = this.#model.get('layer');
    if (chosen !== layer) this.showLayer(chosen).catch(() => {});
  }

  #status(status) {
    set(this.#model, 'status', status);
    this.#changed();
  }

  #changed() {
    for (const listener of this.#listeners) listener();
  }

  #show(update) {
    Object.assign(this.grid, update);
    this.#changed();
  }

  async #load() {
    await this.#ask({ kind: 'hello', page: this.#page }, 'welcome');
    const { error } = this.#model.get('status');
    if (error?.code === 'disposed') throw Object.assign(new Error(error.message), { code: error.code });
    // After a reload. At first it says so by itself, and a message too many might come late.
    if (this.#model.get('status').phase !== 'starting') this.#status({ phase: 'starting' });
    const { TopKLM } = await this.#bundle();
    const { url, files } = this.#model.get('_source');
    let source = url;
    if (files) {
      source = {};
      for (const name of files) {
        this.#status({ phase: 'loading', file: name });
        source[name] = await this.#read(name);
      }
    }
    let shown = 0;
    const onProgress = ({ phase, file, loadedBytes, totalBytes }) => {
      if (Date.now() - shown < 250) return;
      shown = Date.now();
      this.#status({ phase: 'loading', what: phase, file, loadedBytes, totalBytes });
    };
    const options = Object.fromEntries(Object.entries(this.#model.get('_options')).filter(([, value]) => value !== null));
    const lm = await TopKLM.load(source, { ...options, onProgress });
    // After a reload, or in a second page.
    const { step, saes } = this.#model.get('_loaded');
    if (step !== null) await lm.loadCheckpoint(step);
    for (const { source: of, options: how } of saes) await this.#attach(lm, of, how);
    this.#status({ phase: 'ready', config: lm.config, backend: lm.backend });
    return { lm, TopKLM };
  }

  /** Each engine reads it itself, unless it is there: one that is closed while it reads would keep the others waiting. */
  async #bundle() {
    if (!globalThis[SHARED]) {
      const bytes = await this.#read('bundle');
      const url = URL.createObjectURL(new Blob([bytes], { type: 'text/javascript' }));
      const bundle = await import(/* @vite-ignore */ /* webpackIgnore: true */ url).finally(() => URL.revokeObjectURL(url));
      globalThis[SHARED] ??= bundle;
    }
    return globalThis[SHARED];
  }

  /**
   * Sends a message until its answer comes. JupyterLab gives widgets a shell of their own in the kernel; before it is there, messages go where the
   * cells go, and stay behind the cell that waits for the model. What has not been answered is therefore sent again.
   */
  async #ask(message, key) {
    let timer;
    const answer = new Promise((resolve) => this.#waiting.set(key, resolve));
    const send = (pause) => {
      if (this.#isClosed) return;
      this.#model.send(message);
      timer = setTimeout(() => send(2 * pause), pause);
    };
    send(FIRST_PAUSE);
    try {
      return await answer;
    } finally {
      clearTimeout(timer);
    }
  }

  #answered(key, value) {
    this.#waiting.get(key)?.(value);
    this.#waiting.delete(key);
  }

  /** A file that Python has, part by part. */
  async #read(name) {
    let bytes;
    for (let offset = 0; bytes === undefined || offset < bytes.length; ) {
      const { total, data } = await this.#ask({ kind: 'read', name, offset }, `${name} ${offset}`);
      bytes ??= new Uint8Array(total);
      bytes.set(data, offset);
      offset += data.length;
      if (data.length === 0) break;
    }
    return bytes;
  }

  async #attach(lm, { url, files }, options, signal) {
    let source = url;
    if (files) {
      source = {};
      for (const [name, asked] of Object.entries(files)) source[name] = await this.#read(asked);
    }
    return lm.attachSae(source, { ...options, signal });
  }

  #receive(message, buffers) {
    if (message.kind === 'part') {
      const { buffer, byteOffset, byteLength } = buffers[0];
      const data = buffer ? new Uint8Array(buffer, byteOffset, byteLength) : new Uint8Array(buffers[0]);
      this.#answered(`${message.name} ${message.offset}`, { total: message.total, data });
    } else if (message.kind === 'welcome') {
      this.#answered('welcome');
    } else if (message.kind === 'abort') {
      this.#calls.get(message.id)?.abort();
    } else if (message.kind === 'call' && !this.#calls.has(message.id)) {
      this.#answer(message);
    }
  }

  async #answer({ id, method, args }) {
    const controller = new AbortController();
    this.#calls.set(id, controller);
    this.#sent.delete(id);
    let answer;
    try {
      const { lm } = await this.#loaded;
      answer = { value: await this.#methods[method](lm, args, controller.signal, id) };
    } catch (error) {
      answer = { error: { code: error.code ?? 'internal', message: error.message } };
    }
    this.#calls.delete(id);
    if (controller.signal.aborted) return;
    this.#send('answer', id, answer);
    set(this.#model, 'settled', this.#model.get('settled') + 1);
  }

  #send(kind, id, answer) {
    const chunks = [];
    const at = { offset: 0 };
    const content = 'value' in answer ? { value: encode(answer.value, chunks, at) } : answer;
    const payload = new Uint8Array(at.offset);
    for (const [offset, bytes] of chunks) payload.set(bytes, offset);
    const parts = Math.max(1, Math.ceil(payload.length / PART));
    for (let part = 0; part < parts; part++) {
      const buffer = new DataView(payload.slice(part * PART, (part + 1) * PART).buffer);
      const order = this.#sent.get(id) ?? 0;
      this.#sent.set(id, order + 1);
      this.#model.send({ kind, id, page: this.#page, order, part, parts, ...(part + 1 === parts ? content : {}) }, undefined, [buffer]);
    }
  }

  #methods = {
    info: async (lm) => ({ config: lm.config, backend: lm.backend, checkpoints: [...lm.checkpoints] }),
    encode: (lm, { text }) => lm.tokenizer.encode(text),
    decode: (lm, { ids }) => lm.tokenizer.decode(ids),
    dispose: async (lm) => {
      await lm.dispose();
      // Also for the page after a reload.
      this.#status({ phase: 'failed', error: { code: 'disposed', message: 'The model was disposed; load it again.' } });
    },
    logitLens: (lm, { prompt, options }, signal) => lm.logitLens(prompt, { ...options, signal }),
    ablate: (lm, { prompt, target, options }, signal) => lm.ablate(prompt, target, { ...options, signal }),
    setEach: (lm, { prompt, target, neurons, options }, signal) => lm.setEach(prompt, target, neurons, { ...options, signal }),
    saeQuality: (lm, { prompt }, signal) => lm.saeQuality(prompt, { signal }),

    generateBatch: (lm, { requests }, signal) =>
      lm.generateBatch(
        requests.map(({ seed, ...request }) => ({ ...request, ...(seed === undefined ? {} : { seed: BigInt(seed) }) })),
        { signal },
      ),

    attachSae: async (lm, { source, options }, signal) => {
      const info = await this.#attach(lm, source, options, signal);
      const { step, saes } = this.#model.get('_loaded');
      // Under its hook, whether or not that was asked for. Of several pages each attaches it, and says so.
      const others = saes.filter(({ options: { hook } }) => hook !== info.hook);
      set(this.#model, '_loaded', { step, saes: [...others, { source, options: { ...options, hook: info.hook } }] });
      return info;
    },
    detachSaes: async (lm) => {
      await lm.detachSaes();
      set(this.#model, '_loaded', { ...this.#model.get('_loaded'), saes: [] });
    },
    loadCheckpoint: async (lm, { step }, signal) => {
      await lm.loadCheckpoint(step, { signal });
      set(this.#model, '_loaded', { step: step === 'final' ? null : step, saes: [] });
    },

    run: async (lm, { prompt, options }, signal) => {
      const layer = this.#model.get('layer');
      const hook = gridHook(lm.config, layer);
      const result = await lm.run(prompt, { ...options, hooks: withHook(options.hooks, hook), signal });
      const { edits = [], promptLength } = options;
      this.#show({ ...rowsOf(result, hook), edits, promptLength });
      this.#catchUp(layer);
      return { ...result, hooks: onlyAsked(result.hooks, options.hooks) };
    },

    generate: async (lm, { prompt, options }, signal, id) => {
      const layer = this.#model.get('layer');
      const hook = gridHook(lm.config, layer);
      const { edits = [], hooks = [], seed } = options;
      const generation = lm.generate(prompt, {
        ...options,
        ...(seed === undefined ? {} : { seed: BigInt(seed) }),
        hooks: withHook(hooks, hook),
        signal,
      });
      let shown = false;
      try {
        for await (const step of generation) {
          if (!shown) {
            // The prompt's positions; cached, so that they cost little.
            const before = await lm.run(generation.promptIds, { hooks: hook ? [hook] : [], edits, logits: 'none', signal });
            this.#show({ ...rowsOf(before, hook), edits, promptLength: before.ids.length });
            this.#catchUp(layer);
            shown = true;
          }
          // Its hooks are those of the position before it. Those of another block come at the end.
          const { rows } = this.grid;
          if (hook && layer === this.#model.get('layer') && rows.length > 0) rows[this.grid.ids.length - 1] = rowOf(step.hooks[hook], 0);
          this.#show({ ids: [...this.grid.ids, step.id], tokens: [...this.grid.tokens, step.text] });
          const { index, text, logprob, evicted, admitted, topLogprobs } = step;
          const sent = { index, id: step.id, text, logprob, evicted, admitted, topLogprobs, hooks: onlyAsked(step.hooks, hooks) };
          this.#send('steps', id, { value: [sent] });
        }
      } finally {
        this.#catchUp(layer);
      }
      return { finish: generation.finish, seed: generation.seed, promptIds: generation.promptIds };
    },
  };
}

/** The hook that the grid reads; null where the block has no TopK activation. */
const gridHook = ({ topk_k, n_layers, n_nontopk }, layer) =>
  topk_k !== null && layer >= 0 && layer < n_layers - n_nontopk ? `blocks.${layer}.hook_topk_out` : null;

const withHook = (hooks = [], hook) => (hook === null ? hooks : [...new Set([...hooks, hook])]);
const onlyAsked = (hooks, asked = []) => Object.fromEntries(asked.map((name) => [name, hooks[name]]));

function rowOf({ rowStart, indices, values }, position) {
  const row = new Map();
  for (let i = rowStart[position]; i < rowStart[position + 1]; i++) row.set(indices[i], values[i]);
  return row;
}

const rowsOf = ({ ids, tokens, hooks }, hook) => ({
  ids: [...ids],
  tokens: tokens ?? [...ids].map(String),
  rows: hook ? [...ids].map((_, position) => rowOf(hooks[hook], position)) : [],
});

/** The neurons with the largest values anywhere, largest first. */
function strongest(rows) {
  const largest = new Map();
  for (const row of rows) for (const [index, value] of row ?? []) largest.set(index, Math.max(value, largest.get(index) ?? 0));
  return [...largest].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, COLUMNS);
}

const element = (name, attributes = {}, ...children) => {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
};

/** The view: a line that says what goes on, the block's choice, and the grid. */
function draw(model, engine, el) {
  const line = element('p', { className: 'topk-line' });
  line.setAttribute('role', 'status');
  const layer = element('select');
  layer.setAttribute('aria-label', 'block');
  const table = element('table', { className: 'topk-grid' });
  el.classList.add('topk-lm');
  el.append(line, layer, element('div', { className: 'topk-scroll' }, table));

  const isSelected = (position, index) =>
    model.get('selection').some((each) => each.position === position && each.index === index && each.layer === model.get('layer'));

  const say = () => {
    const { phase, file, loadedBytes, totalBytes, config, backend, error } = model.get('status');
    const percent = totalBytes ? ` ${Math.floor((100 * loadedBytes) / totalBytes)} %` : '';
    if (phase === 'failed') line.textContent = error.message;
    else if (phase !== 'ready') line.textContent = file ? `Loading ${file}${percent}` : 'Starting the engine';
    else {
      const cut = config.topk_k === null ? 'dense' : `k = ${config.topk_k} of ${config.d_model} neurons`;
      line.textContent = `${config.n_layers} blocks, ${cut}, on ${backend.kind === 'webgpu' ? 'WebGPU' : 'the CPU'}`;
      const blocks = config.topk_k === null ? 0 : config.n_layers - config.n_nontopk;
      if (layer.length !== blocks) {
        layer.replaceChildren(
          ...Array.from({ length: blocks }, (_, i) => element('option', { value: String(i), textContent: `block ${i}` })),
        );
      }
      layer.value = String(model.get('layer'));
    }
    layer.hidden = layer.length === 0;
  };

  const fill = () => {
    const { rows, tokens } = engine.grid;
    const columns = strongest(rows);
    const most = columns[0]?.[1] ?? 1;
    const head = element('tr', {}, element('th', { textContent: 'token' }));
    for (const [index] of columns) head.append(element('th', { scope: 'col', textContent: String(index) }));
    const lines = tokens.map((token, position) => {
      const name = element('th', { scope: 'row', textContent: token.replaceAll('\n', '⏎') });
      const cells = columns.map(([index]) => {
        const value = rows[position]?.get(index) ?? 0;
        const cell = element('button', { type: 'button', tabIndex: -1 });
        cell.dataset.position = position;
        cell.dataset.index = index;
        cell.setAttribute('aria-label', `neuron ${index} at ${JSON.stringify(token)}: ${value.toPrecision(3)}`);
        cell.setAttribute('aria-pressed', String(isSelected(position, index)));
        cell.title = `neuron ${index}: ${value.toPrecision(3)}`;
        cell.style.setProperty('--strength', `${Math.round((100 * Math.max(0, value)) / most)}%`);
        return element('td', {}, cell);
      });
      return element('tr', {}, name, ...cells);
    });
    const focused = table.contains(document.activeElement) ? { ...document.activeElement.dataset } : null;
    table.replaceChildren(element('thead', {}, head), element('tbody', {}, ...lines));
    table.hidden = columns.length === 0;
    const again = focused && table.querySelector(`button[data-position="${focused.position}"][data-index="${focused.index}"]`);
    (again ?? table.querySelector('button'))?.setAttribute('tabindex', '0');
    again?.focus();
  };

  let asked = false;
  const refresh = () => {
    if (asked) return;
    asked = true;
    setTimeout(() => {
      asked = false;
      say();
      fill();
    }, 50);
  };

  table.addEventListener('click', (event) => {
    const cell = event.target.closest('button');
    if (!cell) return;
    const [position, index] = [Number(cell.dataset.position), Number(cell.dataset.index)];
    const chosen = { layer: model.get('layer'), index, position, value: engine.grid.rows[position]?.get(index) ?? 0 };
    const others = model
      .get('selection')
      .filter((each) => !(each.position === position && each.index === index && each.layer === chosen.layer));
    const more = event.shiftKey || event.ctrlKey || event.metaKey;
    set(model, 'selection', [...(more ? others : []), ...(isSelected(position, index) ? [] : [chosen])]);
    cell.focus();
  });
  table.addEventListener('keydown', (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const cell = event.target.closest('td');
    if (!step || !cell) return;
    event.preventDefault();
    event.stopPropagation();
    const next = table.rows[cell.parentElement.rowIndex + step[0]]?.cells[cell.cellIndex + step[1]]?.querySelector('button');
    if (!next) return;
    event.target.setAttribute('tabindex', '-1');
    next.setAttribute('tabindex', '0');
    next.focus();
  });
  layer.addEventListener('change', () => {
    set(model, 'layer', Number(layer.value));
  });

  const stop = engine.onChange(refresh);
  model.on('change:selection', refresh);
  model.on('change:status', refresh);
  refresh();
  return () => {
    stop();
    model.off('change:selection', refresh);
    model.off('change:status', refresh);
  };
}

export default () => {
  let engine;
  return {
    initialize({ model }) {
      engine = new Engine(model);
      model.on('change:layer', () => engine.showLayer(model.get('layer')).catch(() => {}));
      return () => engine.close();
    },
    render({ model, el }) {
      return draw(model, engine, el);
    },
  };
};
