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

const CONTROLS = 'a[href], button, input, select, textarea, summary';

/**
 * Attach to what holds controls that go or are disabled, by their own press or because work ends. The keyboard then moves to the control that
 * comes in such a one's place, or to the page where none is left; after a click or a tap, focus is left alone.
 */
export function holdFocus(scope: HTMLElement): () => void {
  const end = new AbortController();
  let held: Element | null = null;
  /** Which one it is of the controls. */
  let place = 0;
  const take = () => {
    const { activeElement } = document;
    held = activeElement !== scope && scope.contains(activeElement) && activeElement?.matches(':focus-visible') ? activeElement : null;
    place = held ? controls().indexOf(held as HTMLElement) : 0;
  };
  const controls = () =>
    [...scope.querySelectorAll<HTMLElement>(CONTROLS)].filter(
      (each) => each === held || (!each.matches(':disabled') && each.getClientRects().length > 0),
    );
  const settle = () => {
    if (!held || (held.isConnected && !held.matches(':disabled'))) return;
    const { activeElement } = document;
    const isLost = activeElement === held || activeElement === document.body || activeElement === null;
    held = null;
    const left = controls();
    if (isLost) (left[Math.min(place, left.length - 1)] ?? document.getElementById('main'))?.focus({ preventScroll: true });
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
