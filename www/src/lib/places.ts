/** Where the reader was on a page, kept for each entry of the browser's history: the step back leads there again, and so does loading the page again. */

interface Place {
  /** Of the window, and of what scrolls by itself on the page (`data-scrolls`), px. */
  tops: readonly number[];
  /** The link by which the page was left. */
  link: string | null;
}

/** Longest wait for a page to reach as far down as it did, for its files are read again (ms). */
const PATIENCE = 20_000;
/** How long a place is held once it is reached: what is above may still change its height (ms). */
const HOLD = 300;
/** What the reader does to go elsewhere. */
const MOVES = ['wheel', 'touchstart', 'pointerdown', 'keydown'];

/** Where this tab keeps places while the site is loaded again, or another one is open. */
const KEY = 'topk-lm/places';

const scrolling = (): Element[] => [document.documentElement, ...document.querySelectorAll('#main [data-scrolls]')];

export class Places {
  readonly #kept = new Map<string, Place>(stored());
  readonly #entry: () => string | null;
  #job: AbortController | null = null;

  /** @param entry - names the entry of the history whose page is shown; `null` while another one opens */
  constructor(entry: () => string | null) {
    this.#entry = entry;
    // Browsers would scroll the page before, which is there until the next one is.
    history.scrollRestoration = 'manual';
    addEventListener('pagehide', () => {
      try {
        sessionStorage[KEY] = JSON.stringify([...this.#kept]);
      } catch {
        // the page then opens at its top
      }
    });
    addEventListener('scroll', () => this.#keep(null), { capture: true, passive: true });
    addEventListener('click', ({ target }) => this.#keep((target as Element).closest?.('#main a[href]') ?? null), { capture: true });
  }

  #keep(link: Element | null): void {
    const entry = this.#entry();
    if (entry === null || this.#job) return;
    const tops = scrolling().map(({ scrollTop }) => scrollTop);
    this.#kept.set(entry, { tops, link: link?.getAttribute('href') ?? null });
  }

  /** Shows a page that has just been put in place: where it was left, or from its top. The keyboard is at the link that was followed, or at the page. */
  show(): void {
    this.#job?.abort();
    scrollTo(0, 0);
    if (!this.#here()?.link) focusPage();
    this.resume();
  }

  #here(): Place | undefined {
    return this.#kept.get(this.#entry() ?? '');
  }

  /** Leads to where the page was left, if it was: one that is loaded again, too. */
  resume(): void {
    const place = this.#here();
    if (!place || (place.link === null && place.tops.every((top) => top === 0))) return;
    const job = new AbortController();
    this.#job = job;
    const { signal } = job;
    for (const move of MOVES) addEventListener(move, () => job.abort(), { signal, capture: true, passive: true });
    signal.addEventListener('abort', () => {
      if (this.#job === job) this.#job = null;
    });
    let until = performance.now() + PATIENCE;
    let isReached = false;
    const frame = () => {
      if (signal.aborted) return;
      const parts = scrolling();
      for (const [i, top] of place.tops.entries()) parts[i]?.scrollTo({ top, behavior: 'instant' });
      const isThere = place.tops.every((top, i) => Math.abs((parts[i]?.scrollTop ?? 0) - top) <= 1) && focusLink(place.link);
      if (isThere && !isReached) until = performance.now() + HOLD;
      isReached ||= isThere;
      if (performance.now() < until) requestAnimationFrame(frame);
      else job.abort();
    };
    frame();
  }
}

/** Whether the keyboard is at none of the controls: at the page as a whole, where a change of pages puts it. */
const isNowhere = (): boolean =>
  [null, document.body, document.getElementById('main')].includes(document.activeElement as HTMLElement | null);

function focusPage(): void {
  if (isNowhere()) document.getElementById('main')?.focus({ preventScroll: true });
}

/** Gives the keyboard back the link that it was at, unless it is elsewhere. @returns whether that is done */
function focusLink(href: string | null): boolean {
  if (href === null || !isNowhere()) return true;
  const link = document.querySelector<HTMLElement>(`#main a[href="${CSS.escape(href)}"]`);
  link?.focus({ preventScroll: true });
  return link !== null;
}

function stored(): [string, Place][] {
  try {
    return JSON.parse(sessionStorage[KEY]) as [string, Place][];
  } catch {
    return []; // nothing is kept, or storage is forbidden here
  }
}
