/** What all pages share: the address, the available models, and the model in use. Each page gets it as its property `app`. */
import { SvelteSet } from 'svelte/reactivity';
import { shortened } from './address';
import { count } from './format';
import { whyNoNeuron } from './model-kind';
import { foreignModel, type ModelEntry, pickedModel, shippedModels, shortName, twinOf, yours } from './models';
import { type Problem, problemOf } from './problem';
import { formatNeuron, type NeuronId, parseNeuron, visit } from './route';
import { Router } from './router.svelte';
import { Session } from './session.svelte';
import { OwnStatistics } from './statistics/own-statistics.svelte';

/** Keeps the name of the last folder that the reader chose, for the tab: a reload loses the files alone. */
const OWN_KEY = 'topk-lm-own-folder';

export class App {
  readonly embed: boolean;
  readonly session: Session;
  /** Statistics computed in this tab, where the model's folder has none. */
  readonly statistics: OwnStatistics;
  readonly router: Router;
  models = $state.raw<readonly ModelEntry[]>([]);
  /** Why there is no list of models. */
  problem = $state.raw<Problem | null>(null);
  /** A model of the reader's own files, which no address can name. */
  #own = $state.raw<ModelEntry | null>(null);
  /** Names that folders of the reader's have had in this tab. */
  readonly #ownNames = new Set<string>();
  /** How often a folder has taken the place of one of the same name, such as that of a model trained anew: texts of the old one are not its own. */
  replaced = $state(0);
  /** Why a model of the reader's was not opened; the one before is back in its place. */
  refused = $state.raw<Problem | null>(null);
  /** The last model that was ready. */
  #before: ModelEntry | null = null;
  /** The step that is being put in place, until the address says what came of it. */
  #asked: { ckpt: number | null } | null = null;
  /** Whether a round through the training steps has the weights: they are not those of the address until it ends. */
  isLent = $state(false);

  constructor() {
    const { engine, embed } = visit(location.search);
    this.embed = embed;
    this.router = new Router(() => this.entry?.name ?? '');
    this.session = new Session(engine, () => this.router.route.ckpt);
    this.statistics = new OwnStatistics(this.session);
  }

  /** Alone, so that {@link entry} stays the same object whatever else of the address changes. */
  #named = $derived.by(() => this.router.route.model);

  /** The model that the address names; `null` until the list is there. */
  entry = $derived.by((): ModelEntry | null => {
    const model = this.#named;
    if (model === null) return this.models[0] ?? null;
    const shipped = this.models.find(({ name }) => name === model);
    if (shipped) return shipped;
    if (this.#own?.name === model) return this.#own;
    return URL.canParse(model) && /^https?:/.test(model) ? foreignModel(new URL(model)) : (this.models[0] ?? null);
  });

  /** Why another model is shown than the address names. */
  lacking = $derived.by(() => {
    const { model } = this.router.route;
    if (model === null || this.models.length === 0 || this.entry !== this.models[0] || this.entry.name === model) return '';
    const names = this.models.map(({ name }) => shortName(name));
    const advice =
      model === lastOwn() ? 'After a reload, choose your own folder again.' : names.length > 1 ? `This site has ${names.join(', ')}.` : '';
    return `There is no model “${shortened(model)}” here, so ${shortName(this.entry.name)} is shown instead. ${advice}`.trim();
  });

  /** Why the neuron that the address names beside its text cannot be shown; '' where it can, or as long as no model has been loaded. */
  absent = $derived.by(() => {
    const { page, params } = this.router.route;
    const named = page === 'explore' ? params.n : page === 'neuron' ? params.vs : undefined;
    const neuron = parseNeuron(named);
    const { model } = this.session;
    if (!neuron || !model || this.session.entry !== this.entry) return '';
    const why = whyNoNeuron(model.config, neuron);
    return why && `The link names the neuron ${formatNeuron(neuron)}. ${why}`;
  });

  /** Takes what the address names wrongly out of it, and with that the messages about it. */
  mendAddress(): void {
    const { router, lacking, absent } = this;
    router.errors = [];
    router.replace(lacking ? { model: null } : {});
    if (absent) router.set(router.route.page === 'neuron' ? { vs: null } : { n: null, set: null });
  }

  /** The dense twin of the TopK model in use, or the other way round. */
  twin = $derived.by(() => (this.entry ? twinOf(this.entry, this.models) : null));

  /** Whether the model in use is one of the site's. */
  isShipped = $derived.by(() => this.models.some(({ name }) => name === this.entry?.name));

  /** Where the model in use is a dense one of the site: the TopK model that has what it lacks. */
  topkInstead = $derived.by(() =>
    this.isShipped && this.session.kind === 'dense' ? [this.twin, ...this.models].find((model) => model?.kind === 'topk') : undefined,
  );

  /** The training step that is in use, or about to be. */
  get step(): number | null {
    const { session, router } = this;
    return this.isLent ? (session.switching ?? session).step : router.route.ckpt;
  }

  /** What tells of results on the page that no address holds. */
  readonly #results = new SvelteSet<() => boolean>();

  /** Tells of results that only the page holds, as long as `has` says that there are some: call while a component is made. */
  holds(has: () => boolean): void {
    $effect(() => {
      this.#results.add(has);
      return () => this.#results.delete(has);
    });
  }

  /** What an update, which reloads the tab, would lose: sentences; '' for nothing. */
  get lost(): string {
    return [
      this.session.entry?.files && 'After the update, choose your model’s folder again.',
      this.statistics.isRunning && 'The update ends the statistics that are being computed here.',
      this.statistics.archive &&
        !this.statistics.isKept &&
        'The statistics that were computed here are lost: this browser does not keep them.',
      [...this.#results].some((has) => has()) && 'What no link holds, such as a strength sweep or a text to count over, is lost.',
    ]
      .filter(Boolean)
      .join(' ');
  }

  async start(): Promise<void> {
    this.problem = null;
    try {
      this.models = await shippedModels();
    } catch (error) {
      this.problem = problemOf(error);
    }
  }

  /** Follows the address: call in an effect. */
  follow(): void {
    const { entry, session } = this;
    const { ckpt } = this.router.route;
    if (!entry) return;
    const isChosen = session.entry?.name === entry.name && session.entry.files === entry.files;
    if (isChosen && session.model) this.#before = entry;
    if (isChosen && session.phase === 'failed' && this.#giveBack(entry)) return;
    if (!isChosen) void session.choose(entry, { agreed: this.#before?.name === entry.name });
    else if (session.model && !this.isLent && ckpt !== (session.switching ?? session).step && this.#asked?.ckpt !== ckpt)
      void this.#switchTo(ckpt); // back to the weights in place, too: the others may just have come
  }

  /** The address goes back to the weights in place where others could not be loaded. */
  async #switchTo(ckpt: number | null): Promise<void> {
    const { session, router } = this;
    const asked = { ckpt };
    this.#asked = asked;
    const isKnown = ckpt === null || session.steps.length === 0 || session.steps.some(({ step }) => step === ckpt);
    if (!isKnown) session.cancelCheckpoint(); // another one may be under way
    const isIn = await (isKnown && session.loadCheckpoint(ckpt));
    if (this.#asked !== asked) return; // cancelled, or another was asked for since
    this.#asked = null;
    if (!isIn && session.model && !this.isLent && router.route.ckpt === ckpt) {
      router.replace({ ckpt: session.step });
      if (!isKnown) router.errors = [`This model has no training step ${count(ckpt)}; the weights in place stay in use.`];
    }
  }

  /** Ends the load of a step; the same one may be asked for again at once. */
  cancelStep(): void {
    this.#asked = null;
    this.session.cancelCheckpoint();
    if (!this.isLent) this.router.replace({ ckpt: this.session.step });
  }

  /** A model of the reader's that cannot be loaded gives way to the one before it. @returns whether there is one */
  #giveBack(failed: ModelEntry): boolean {
    const before = this.#before ?? this.models[0];
    const { problem } = this.session;
    if (!before || !problem || before.name === failed.name || this.models.includes(failed)) return false;
    this.refused = { ...problem, advice: `${shortName(before.name)} is in use ${this.#before ? 'again' : 'instead'}.`, remedy: 'none' };
    this.goBack();
    return true;
  }

  /** Back to the last model that was ready, or to the site's first. */
  goBack(): void {
    const first = this.models[0];
    const model = this.#before ?? first;
    if (model?.files) this.#own = model;
    // A neuron's page always names its model.
    const isUnnamed = model === first && this.router.route.page !== 'neuron';
    this.router.replace({ model: isUnnamed ? null : (model?.name ?? null), ckpt: null });
  }

  /** Opens a model folder on this site or elsewhere. */
  useFolder(url: URL): void {
    this.refused = null;
    this.router.go({ model: url.href, ckpt: null });
  }

  /** Uses files by path that the reader picked or dropped. */
  useFiles(name: string, files: Readonly<Record<string, Blob>>): void {
    this.refused = null;
    // A shipped model of that name is another one.
    const own = this.models.some((shipped) => shipped.name === name) ? yours(name) : name;
    if (this.#ownNames.has(own)) {
      this.replaced++;
      this.router.forgetTexts();
    }
    this.#ownNames.add(own);
    this.#own = pickedModel(own, files);
    keepOwn(own);
    void this.session.choose(this.#own);
    this.router.go({ model: own, ckpt: null });
  }

  /** Address of Steer as it was left, with this neuron set too; `null` where nothing is set there. */
  addHref(neuron: NeuronId): string | null {
    const { page, params } = this.router.asLeft('steer');
    if (!params?.e) return null;
    const { b, s, pl, ...others } = params;
    return this.router.href({ page, params: { ...others, n: formatNeuron(neuron) } });
  }

  /** Address of a neuron's page. */
  neuronHref({ layer, index }: NeuronId): string {
    const neuron = { layer, index };
    const { page, params } = this.router.route;
    const { vs, ...others } = params;
    // None is compared with itself.
    const isCompared = page === 'neuron' && vs === formatNeuron(neuron);
    return this.router.href({ page: 'neuron', neuron, ...(isCompared && { params: others }) });
  }
}

function lastOwn(): string | null {
  try {
    return sessionStorage.getItem(OWN_KEY);
  } catch {
    return null; // storage is forbidden here
  }
}

function keepOwn(name: string): void {
  try {
    sessionStorage.setItem(OWN_KEY, name);
  } catch {
    // then a reload gives other advice
  }
}
