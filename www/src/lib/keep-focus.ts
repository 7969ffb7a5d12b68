import { tick } from 'svelte';

/**
 * Call before a button removes itself. If it was pressed by keyboard, focus moves to `next` instead of falling back to the top of the page. If
 * it was clicked or tapped, focus is left alone: focusing a field would open a phone's keyboard.
 */
export function keepFocus(within: Element, next: () => HTMLElement | null | undefined): void {
  const { activeElement } = document;
  if (!activeElement || !within.contains(activeElement) || !activeElement.matches(':focus-visible')) return;
  void tick().then(() => {
    if (!activeElement.isConnected || activeElement.matches(':disabled')) next()?.focus();
  });
}

const CONTROLS = 'a[href], button, input, select, textarea, summary, [tabindex="0"]';

/**
 * Attach to what holds controls that go or are disabled, by their own press, because work ends or because other values come. The keyboard then
 * moves to the control that comes in such a one's place (of one that goes, in the innermost part around it that still has any), or to the page
 * where none is left; after a click or a tap, focus is left alone.
 */
export function holdFocus(scope: HTMLElement): () => void {
  const end = new AbortController();
  let held: Element | null = null;
  /** What it is in, from the inside out, and which one it is of the controls there. */
  let around: { part: Element; place: number }[] = [];
  const take = () => {
    const { activeElement } = document;
    held = activeElement !== scope && scope.contains(activeElement) && activeElement?.matches(':focus-visible') ? activeElement : null;
    around = [];
    if (!held) return;
    const all = controls();
    const at = all.indexOf(held as HTMLElement);
    for (let part = held.parentElement; part; part = part === scope ? null : part.parentElement) {
      const first = all.findIndex((each) => part?.contains(each));
      around.push({ part, place: Math.max(0, at - first) });
    }
  };
  const controls = (part: Element = scope) =>
    [...part.querySelectorAll<HTMLElement>(CONTROLS)].filter(
      (each) => each === held || (!each.matches(':disabled') && each.getClientRects().length > 0),
    );
  const next = (from: Element) => {
    for (const { part, place } of from.isConnected ? around.slice(-1) : around) {
      const left = part.isConnected ? controls(part) : [];
      if (left.length > 0) return left[Math.min(place, left.length - 1)];
    }
    return document.getElementById('main');
  };
  const settle = () => {
    if (!held || (held.isConnected && !held.matches(':disabled'))) return;
    const { activeElement } = document;
    const isLost = activeElement === held || activeElement === document.body || activeElement === null;
    const from = held;
    held = null;
    if (isLost) next(from)?.focus({ preventScroll: true });
  };
  const drop = () => {
    held = null;
  };
  for (const act of ['focusin', 'keydown']) document.addEventListener(act, take, { signal: end.signal });
  document.addEventListener('pointerdown', drop, { signal: end.signal, capture: true });
  const observer = new MutationObserver(settle);
  observer.observe(scope, { childList: true, subtree: true, attributeFilter: ['disabled'] });
  take(); // it may come because of a press beside it
  settle();
  return () => {
    end.abort();
    observer.disconnect();
    void tick().then(settle); // it may go with what it holds
  };
}
