/**
 * The route as state, and the ways to change it. Every change is in the address, so back, forward and reload keep it; what is too long for a
 * link is kept in the browser's history entry.
 */
import { type Checked, linkOf, readAddress } from './address';
import type { PageName } from './pages';
import { Places } from './places';
import { formatRoute, type Route } from './route';

/** Longest wait for a frame that shows what comes next (ms): a page in the background paints none. */
const FRAME = 100;
/** Most links whose whole route is kept: more than a page has, but for a list of all neurons. */
const MOST_LINKS = 500;
/** After which the bar is written again where the browser refused (ms). */
const AGAIN = 1_000;

export class Router {
  route = $state.raw<Route>(this.#inBar().route);
  /** The page being opened, while the previous one is still shown. */
  opening = $state<PageName | null>(null);
  /** What could not be read in the last address or file: sentences. */
  errors = $state.raw<readonly string[]>(this.#inBar().errors);
  /** Whether a link can carry all of it. */
  fitsLink = $derived.by(() => linkOf(this.route, '').whole);
  /** Makes a page ready to be shown; a page becomes the route only then. */
  prepare: (page: PageName) => Promise<void> = async () => {};
  readonly #defaultModel: () => string;
  /** Where links on the page lead that have no room for all of it, by what they have. */
  readonly #long = new Map<string, Route>();
  /** Where {@link opening} leads. */
  #next: Route | null = null;
  /** What was in the browser's bar when it was last read: it changes a moment before the page is told. */
  #seen = location.hash;
  /** The pages that were left, as they last were, and the model's name then. */
  #left = $state.raw<Partial<Record<PageName, Route>>>({});
  readonly places: Places;
  /** Writes to the bar what the browser refused, a step of the history as one. */
  #again: ReturnType<typeof setTimeout> | undefined;
  #owesStep = false;

  constructor(defaultModel: () => string) {
    this.#defaultModel = defaultModel;
    this.#nameEntry();
    this.places = new Places(() => (this.opening === null ? (stateOf().entry ?? null) : null));
    addEventListener('popstate', () => this.#read());
    // Browsers tell of a link twice: what was said of it in between stays.
    addEventListener('hashchange', () => location.hash !== this.#seen && this.#read());
    addEventListener('click', (event) => {
      const link = event.target instanceof Element ? event.target.closest('a')?.getAttribute('href') : null;
      const route = link && this.#long.get(link);
      const { button, ctrlKey, metaKey, shiftKey, altKey } = event;
      if (!route || event.defaultPrevented || button !== 0 || ctrlKey || metaKey || shiftKey || altKey) return; // opened elsewhere
      event.preventDefault();
      this.go(route);
    });
  }

  /** Address of a change from here; another page starts without this page's own parameters. */
  href(change: Partial<Route>): string {
    const route = this.#changed(change);
    const { hash, whole } = linkOf(route, this.#defaultModel());
    this.#long.delete(hash);
    if (!whole) this.#long.set(hash, route);
    if (this.#long.size > MOST_LINKS) this.#long.delete(this.#long.keys().next().value!);
    return hash;
  }

  /** A page as this model's reader left it; its training step and the tour are those of now. */
  asLeft(page: PageName): Partial<Route> & { page: PageName } {
    const left = this.#left[page];
    const route = this.#next ?? this.route;
    if (!left || page === route.page || left.model !== this.#nameOf(route)) return { page };
    const { b, s, pl, ...params } = left.params;
    const texts = left.ckpt === route.ckpt ? { b, s, pl } : {};
    const known = Object.entries({ ...params, ...texts }).filter((entry): entry is [string, string] => entry[1] !== undefined);
    return { page, neuron: left.neuron, params: Object.fromEntries(known) };
  }

  /** Other weights have the model's name: texts that pages were left with are not theirs. */
  forgetTexts(): void {
    const without = ({ params: { b, s, pl, ...params }, ...route }: Route): Route => ({ ...route, params });
    this.#left = Object.fromEntries(Object.entries(this.#left).map(([page, route]) => [page, without(route)]));
  }

  /** The default is that of the model in use. */
  #nameOf({ model }: Route): string {
    return model ?? this.#defaultModel();
  }

  /** What is shown, as a link that names its model, for other places than this browser. */
  get link(): string {
    return formatRoute(this.fullRoute, this.#defaultModel());
  }

  /** What is shown, its model named; without the tour, which is the reader's own. */
  get fullRoute(): Route {
    const { route } = this;
    return { ...route, tour: null, model: route.model ?? (this.#defaultModel() || null) };
  }

  /** Goes there; the step back is this route. */
  go(change: Partial<Route>): void {
    this.errors = [];
    this.#write(this.#changed(change), 'pushState');
  }

  /** Changes the state of this page without a step in the history: for typing and sliders. */
  replace(change: Partial<Route>): void {
    if (location.hash !== this.#seen) this.#read();
    this.#write(this.#changed(change), 'replaceState');
  }

  /** Changes the page's own parameters; `null` takes one away. */
  set(params: Record<string, string | null>): void {
    if (this.#next || location.hash !== this.#seen) return; // the page is being left
    const all = { ...this.route.params };
    for (const [name, text] of Object.entries(params)) {
      if (text === null) delete all[name];
      else all[name] = text;
    }
    this.replace({ params: all });
  }

  /** Opens what was read of a file. */
  open({ route, errors }: { route: Route | null; errors: readonly string[] }): void {
    if (route) this.go(route);
    this.errors = errors;
  }

  #changed(change: Partial<Route>): Route {
    const { route: shown } = this;
    const route = this.#next ?? shown;
    const moves = change.page !== undefined && change.page !== route.page;
    return { ...route, ...(moves ? { params: {}, neuron: null } : {}), ...change };
  }

  #write(route: Route, how: 'pushState' | 'replaceState'): void {
    const { hash, whole } = linkOf(route, this.#defaultModel());
    const address = whole ? undefined : formatRoute(route, this.#defaultModel());
    this.#owesStep ||= how === 'pushState';
    this.#writeBar(hash, address);
    this.#arrive(readAddress(address ?? hash, 'This link').route);
  }

  /** Browsers take so many changes in some seconds: of more, Chromium ignores the last, others throw. */
  #writeBar(hash: string, address: string | undefined): void {
    clearTimeout(this.#again);
    const how = this.#owesStep ? 'pushState' : 'replaceState';
    const state = { entry: this.#owesStep ? newEntry() : stateOf().entry, address, written: Math.random() };
    try {
      history[how](state, '', hash);
    } catch {
      // as where it is ignored
    }
    this.#seen = location.hash;
    if (stateOf().written === state.written) this.#owesStep = false;
    else this.#again = setTimeout(() => this.#writeBar(hash, address), AGAIN);
  }

  /** What the browser's bar says, or the history where that is more. */
  #inBar(): Checked {
    const kept = stateOf().address;
    return readAddress(typeof kept === 'string' ? kept : location.hash, 'This link');
  }

  /** An entry of the history that a link made has no name yet. */
  #nameEntry(): void {
    if (stateOf().entry !== undefined) return;
    try {
      history.replaceState({ ...stateOf(), entry: newEntry() }, '');
    } catch {
      // without a name, the place on the page is not kept
    }
  }

  #read(): void {
    clearTimeout(this.#again); // the reader is elsewhere
    this.#owesStep = false;
    this.#nameEntry();
    const { route, errors } = this.#inBar();
    this.#seen = location.hash;
    this.errors = errors;
    this.#arrive(route);
  }

  #arrive(next: Route): void {
    if (JSON.stringify(next) === JSON.stringify(this.#next ?? this.route)) return;
    if (next.page === this.route.page) {
      this.#next = null;
      this.opening = null;
      this.route = next;
    } else {
      this.#next = next;
      this.opening = next.page;
      void this.#turnTo(next);
    }
  }

  /** The page before stays, with its own route, until the next one is here and it was painted that it opens. */
  async #turnTo(next: Route): Promise<void> {
    await Promise.all([this.prepare(next.page), painted()]);
    if (this.#next !== next) return;
    // What is half typed is told of as it goes, and is not the next page's: it is told while nothing is taken.
    const { activeElement } = document;
    if (activeElement instanceof HTMLElement && activeElement.matches('#main :is(input, textarea)')) activeElement.blur();
    this.#next = null;
    this.opening = null;
    this.#left = { ...this.#left, [this.route.page]: { ...this.route, model: this.#nameOf(this.route) } };
    this.route = next;
  }
}

/** What the browser keeps of this entry of the history: its name, and an address that is too long for a link. */
const stateOf = (): { entry?: string; address?: unknown; written?: number } => (history.state as object | null) ?? {};

const newEntry = (): string => `${Date.now()}-${Math.random()}`;

function painted(): Promise<void> {
  return new Promise((resolve) => {
    requestAnimationFrame(() => setTimeout(resolve));
    setTimeout(resolve, FRAME);
  });
}
