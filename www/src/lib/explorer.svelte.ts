/** The text of the Explore page: stored, shared by ids, or typed; and the neurons read from it. */
import { untrack } from 'svelte';
import type { FeatureIndex } from 'topk-lm';
import type { App } from './app.svelte';
import { beginning, cutText, encodeToFit, fitIds } from './fit';
import { withoutStart } from './format';
import { type ModelEntry, twinOf } from './models';
import { labelOf, tokenText } from './neurons';
import { type Activations, readActivations, storedActivations, type StoredActivations, type StoredText, storedTexts } from './activations';
import type { Ranking } from './ranking';
import { decodeIds, encodeIds, type NeuronId, parseNeuron } from './route';
import { StepLabels } from './step-labels.svelte';
import { textOfIds } from './vocabulary';

/** How long typing must pause before the text is read (ms). */
const PAUSE = 150;

/** With which the page opens where nothing is stored for a model: it fits a context of 64 even where each character is a token. */
const DEFAULT_TEXT = 'Once upon a time there was a little dog who loved to play.';

type Wanted = { kind: 'stored'; number: number; text: StoredText } | { kind: 'ids'; ids: number[] } | { kind: 'text'; text: string };

export class Explorer {
  readonly #app: App;
  stored = $state.raw<readonly StoredText[] | null>(null);
  activations = $state.raw<Activations | null>(null);
  /** the content of the text box. */
  typed = $state('');
  /** Whether a newer text is being read. */
  busy = $state(false);
  /** Pointed at, not chosen. */
  hovered = $state.raw<NeuronId | null>(null);
  /** Whether the text that is wanted could not be read. */
  failed = $state(false);
  /** What is wanted: {@link activations} are made from it, or about to be. */
  #key = '';
  /** The text that {@link activations} were read from, where it was one; `null`: from ids. */
  #textRead = $state<string | null>(null);
  #rows: { entry: ModelEntry; number: number; reading: Promise<StoredActivations> } | null = null;
  #job: AbortController | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Names what was typed while the address does not have it yet: until then the text box is the reader's. */
  #typing: symbol | null = null;
  /** Of which model the text was, and its ids in the address. */
  #last: { entry: ModelEntry | null; t: string | undefined } = { entry: null, t: undefined };
  /** The text that was on screen when the model was changed: one without stored texts reads that. */
  #kept = $state('');
  /** Whether the page is left: what is derived may not be read any more. */
  #isLeft = false;
  /** Ids in the address that came from typing: the text box stays as it was typed. */
  #fromTyping = '';
  /** How many ids the text box was filled from, 0 if it was typed into: another model may take more of the same ones. */
  #filledFrom = 0;
  /** The `p` of the address that the text box was filled from, or that was made of it. */
  #boxOf: string | undefined;
  /** What was left out of a typed text, said while the address holds the rest: its `t` or `p`. */
  #left = $state.raw({ of: '', cut: '' });
  readonly #stepLabels = new StepLabels();

  constructor(app: App) {
    this.#app = app;
  }

  wanted = $derived.by((): Wanted | null => {
    const { x, t, p } = this.#app.router.route.params;
    const ids = decodeIds(t);
    if (ids) return { kind: 'ids', ids };
    if (p !== undefined) return { kind: 'text', text: p };
    if (!this.stored) return null;
    const text = this.stored[Number(x ?? 0)] ?? this.stored[0];
    return text ? { kind: 'stored', number: this.stored.indexOf(text), text } : { kind: 'text', text: this.#kept || DEFAULT_TEXT };
  });

  /** Ids that are known without the model, as many as it takes; `null` for a typed text. */
  #known = $derived.by(() => {
    const { wanted } = this;
    const ids = wanted?.kind === 'ids' ? wanted.ids : wanted?.kind === 'stored' ? wanted.text.ids : null;
    return ids && fitIds(ids, this.#app.session.model);
  });
  #knownIds = $derived.by(() => this.#known?.ids ?? null);

  /** Tokens on screen: those of the activations, or of the ids before they are read. */
  tokens = $derived.by((): readonly string[] => {
    const ids = this.#knownIds;
    if (this.activations && (!ids || sameIds(ids, this.activations.ids))) return this.activations.tokens;
    return ids ? ids.map((id) => tokenText(this.#app.session.vocabulary, id)) : (this.activations?.tokens ?? []);
  });

  ids = $derived.by((): readonly number[] => this.#knownIds ?? this.activations?.ids ?? []);

  /** What was left out of the text: a sentence; '' for nothing. */
  cut = $derived.by((): string => {
    const { t, p } = this.#app.router.route.params;
    const of = t ?? p ?? (this.wanted?.kind === 'text' ? this.wanted.text : null);
    return this.#known?.cut || (this.#left.of === of ? this.#left.cut : '');
  });

  /** Whether the neurons on screen are those of the tokens on screen. */
  isRead = $derived.by(() => this.activations !== null && this.tokens === this.activations.tokens);

  /** Whether what is on screen is of the text before, or of weights before: a typed one is read once the model is there, and reading may fail. */
  isOld = $derived.by(() => this.isRead && (this.failed || (this.wanted?.kind === 'text' && this.#textRead !== this.wanted.text)));

  promptLength = $derived.by(() => (this.wanted?.kind === 'stored' ? this.wanted.text.promptLength : 0));

  position = $derived.by(() => {
    const { at } = this.#app.router.route.params;
    const last = Math.max(0, this.tokens.length - 1);
    const opening = this.wanted?.kind === 'stored' ? this.wanted.text.at : last;
    return Math.min(at !== undefined && /^\d{1,6}$/.test(at) ? Number(at) : opening, last);
  });

  /** Chosen by the reader, or the one that a stored text opens with. */
  locked = $derived.by((): NeuronId | null => {
    const { n } = this.#app.router.route.params;
    if (n === '-') return null;
    return parseNeuron(n) ?? (this.wanted?.kind === 'stored' ? this.wanted.text.neuron : null);
  });

  /** How the neurons of a position are ranked; the address says it. */
  ranking = $derived.by((): Ranking => (this.#app.router.route.params.rank === 'raw' ? 'raw' : 'special'));

  /** Whether neurons that are active nearly everywhere are shown too. */
  background = $derived.by(() => this.#app.router.route.params.bg === '1');

  /** The statistics that rankings go by: those of the weights in use, else none. */
  statistics = $derived.by((): FeatureIndex | null => (this.#app.session.stepNote === '' ? this.#app.session.index : null));

  /** The value that the pinned neuron is set to in the picture; `null`: it is left as it is. */
  set = $derived.by((): number | null => {
    const { set } = this.#app.router.route.params;
    return set === undefined || this.locked === null ? null : Number(set);
  });

  /** What a neuron is called with the weights in use: by its label, or by its tokens at their training step. */
  nameOf(neuron: NeuronId): string {
    const { session } = this.#app;
    return session.stepNote === '' ? labelOf(session.index, neuron) : this.#stepLabels.of(neuron);
  }

  /** Reads the names of these neurons where they are not those of the final weights: call in an effect. */
  readNames(neurons: readonly NeuronId[]): void {
    const { features, index, step, stepNote, vocabulary } = this.#app.session;
    if (stepNote === '' || !features || step === null || !index?.steps.includes(step)) return;
    void untrack(() => this.#stepLabels.read(features, step, neurons, vocabulary));
  }

  highlighted = $derived.by(() => this.hovered ?? this.locked);

  /** Loads the list of stored texts: call in an effect on the model. */
  async openModel(): Promise<void> {
    const { entry } = this.#app;
    this.#kept = untrack(() => this.typed);
    untrack(() => this.#carryOver(entry));
    this.stored = null;
    this.activations = null;
    this.failed = false;
    this.#key = '';
    if (!entry) return;
    try {
      const texts = await storedTexts(entry);
      if (this.#isLeft || this.#app.entry !== entry) return;
      this.stored = texts;
      // The reader waits for it: it is not left until the vocabulary is there.
      const wanted = untrack(() => this.wanted);
      if (wanted?.kind === 'stored') this.#rowsOf(entry, wanted.number).catch(() => {}); // reported where it is read
    } catch {
      if (this.#app.entry === entry) this.stored = []; // the model will read what is typed
    }
  }

  /** To a model of another vocabulary, the ids in the address are other words: it reads those in the text box. A twin shares its vocabulary. */
  #carryOver(entry: ModelEntry | null): void {
    const { models, router } = this.#app;
    const { entry: before, t } = this.#last;
    if (!entry || !before || entry.name === before.name || entry === twinOf(before, models)) return;
    // Other ids came with this model, in a link or by the step back.
    if (t === undefined || t !== router.route.params.t) return;
    this.#boxOf = beginning(this.typed) || undefined;
    router.set({ t: null, p: this.#boxOf ?? null, at: null, n: null, set: null, why: null });
  }

  /** Reads what is wanted: call in an effect. */
  read(): void {
    const { wanted } = this;
    const { session, entry, router } = this.#app;
    const { t, p } = router.route.params;
    this.#last = { entry, t };
    const { model, weights, vocabulary } = session;
    if (!wanted) return;
    if (wanted.kind === 'stored' && !model && !vocabulary) return;
    const ids = this.#knownIds;
    if (this.#typing === null) {
      if (ids) this.#show(ids);
      else if (wanted.kind === 'text' && (untrack(() => this.typed) === '' || (p !== undefined && p !== this.#boxOf))) {
        this.typed = wanted.text;
        this.#fromTyping = '';
      }
      this.#boxOf = p;
    }
    const key = JSON.stringify([wanted.kind === 'text' ? wanted.text : ids, model ? weights : wanted.kind === 'stored']);
    if (key === this.#key) return;
    this.#key = key;
    this.failed = false;
    void this.#run(wanted, key);
  }

  /** The text box changed. */
  type(): void {
    clearTimeout(this.#timer);
    const typing = Symbol();
    this.#typing = typing;
    this.#timer = setTimeout(() => void this.#typedPause(typing), PAUSE);
  }

  /** Another text is chosen: what was typed and is not in the address yet is dropped. */
  dropTyped(): void {
    clearTimeout(this.#timer);
    this.#typing = null;
  }

  /** The page is left. */
  stop(): void {
    this.#isLeft = true;
    this.dropTyped();
    this.#key = '';
    this.#job?.abort();
  }

  async #typedPause(typing: symbol): Promise<void> {
    const { model } = this.#app.session;
    const text = this.typed;
    const fresh = { x: null, at: null, why: null };
    const p = beginning(text);
    if (!model) {
      this.#left = { of: p, cut: cutText(text) };
      this.#typing = null;
      this.#boxOf = p;
      return this.#app.router.set({ ...fresh, p, t: null });
    }
    try {
      const { ids, cut } = await encodeToFit(model, text);
      if (this.#typing !== typing) return;
      this.#typing = null;
      const t = ids.length > 0 ? encodeIds(ids) : '';
      this.#left = { of: t || p, cut };
      this.#fromTyping = t;
      this.#boxOf = p;
      this.#filledFrom = 0;
      this.#app.router.set(t ? { ...fresh, p: null, t } : { ...fresh, p, t: null });
    } catch (error) {
      if (this.#typing !== typing) return;
      this.#typing = null;
      this.#app.session.report(error);
    }
  }

  async #run(wanted: Wanted, key: string): Promise<void> {
    this.#job?.abort();
    const job = new AbortController();
    this.#job = job;
    const { session, entry } = this.#app;
    const { model, vocabulary } = session;
    try {
      if (model) {
        this.busy = true;
        let ids = this.#knownIds;
        if (wanted.kind === 'text') {
          const fitted = await encodeToFit(model, wanted.text);
          ids = fitted.ids;
          if (fitted.cut && !model.config.has_tokenizer && this.typed === wanted.text) this.typed = ids.join(' ');
          if (this.#key === key && fitted.cut) this.#left = { of: wanted.text, cut: fitted.cut };
        }
        if (!ids || ids.length === 0) {
          this.activations = null;
          return;
        }
        const activations = await readActivations(model, ids, job.signal);
        if (this.#key !== key) return;
        this.activations = activations;
        this.#textRead = wanted.kind === 'text' ? wanted.text : null;
        if (session.problem) session.problem = null;
      } else if (wanted.kind === 'stored' && entry) {
        const tokens = wanted.text.ids.map((id) => tokenText(vocabulary, id));
        const { rows, select } = await this.#rowsOf(entry, wanted.number);
        if (this.#key !== key) return;
        this.activations = { ids: wanted.text.ids, tokens, rows, select, origin: 'stored' };
        this.#textRead = null;
      }
    } catch (error) {
      if (this.#key !== key) return;
      this.failed = true;
      if (model) session.report(error);
      else session.reportFile(error);
    } finally {
      if (this.#job === job) this.busy = false;
    }
  }

  /** The stored activations of a text, fetched once unless that fails. */
  #rowsOf(entry: ModelEntry, number: number): Promise<StoredActivations> {
    if (this.#rows?.entry === entry && this.#rows.number === number) return this.#rows.reading;
    const reading = storedActivations(entry, number);
    const rows = { entry, number, reading };
    this.#rows = rows;
    reading.catch(() => {
      if (this.#rows === rows) this.#rows = null;
    });
    return reading;
  }

  /** Puts the text of ids into the text box, unless they came from there. */
  #show(ids: readonly number[]): void {
    const { router, session, entry } = this.#app;
    const { t } = router.route.params;
    if (t !== undefined && t === this.#fromTyping && (this.#filledFrom === 0 || this.#filledFrom === ids.length)) return;
    this.#fromTyping = t ?? '';
    const { vocabulary } = session;
    // That of the model before is there for a moment.
    if (!vocabulary || session.entry?.name !== entry?.name) {
      this.#fromTyping = '?'; // again when the vocabulary is there
      return;
    }
    this.typed = textOfIds(vocabulary, withoutStart(ids, vocabulary, session.model?.config.bos_token_id));
    this.#filledFrom = ids.length;
  }
}

const sameIds = (a: ArrayLike<number>, b: ArrayLike<number>): boolean => {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
};
