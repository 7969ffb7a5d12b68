/** The route as state, and the ways to change it: every change is in the address, so back, forward and reload keep it. */
import { formatRoute, parseRoute, type Route } from './route';

export class Router {
  route = $state.raw<Route>(parseRoute(location.hash));
  readonly #defaultModel: () => string;

  constructor(defaultModel: () => string) {
    this.#defaultModel = defaultModel;
    addEventListener('hashchange', () => this.#read());
    addEventListener('popstate', () => this.#read());
  }

  /** Address of a change from here; another page starts without this page's own parameters. */
  href(change: Partial<Route>): string {
    return formatRoute(this.#changed(change), this.#defaultModel());
  }

  /** Goes there; the step back is this route. */
  go(change: Partial<Route>): void {
    history.pushState(null, '', this.href(change));
    this.#read();
  }

  /** Changes the state of this page without a step in the history: for typing and sliders. */
  replace(change: Partial<Route>): void {
    history.replaceState(null, '', this.href(change));
    this.#read();
  }

  /** Changes the page's own parameters; `null` takes one away. */
  set(params: Record<string, string | null>): void {
    const all = { ...this.route.params };
    for (const [name, text] of Object.entries(params)) {
      if (text === null) delete all[name];
      else all[name] = text;
    }
    this.replace({ params: all });
  }

  #changed(change: Partial<Route>): Route {
    const { route } = this;
    const moves = change.page !== undefined && change.page !== route.page;
    return { ...route, ...(moves ? { params: {}, neuron: null } : {}), ...change };
  }

  #read(): void {
    const next = parseRoute(location.hash);
    if (JSON.stringify(next) !== JSON.stringify(this.route)) this.route = next;
  }
}
