import { tick } from 'svelte';

/**
 * Call before a button takes itself away: who pressed it by key goes on at what takes its place, not at the top of the page. Who pressed it by
 * mouse or finger keeps the screen as it is; a field would bring up a phone's keyboard.
 */
export function keepFocus(within: Element, next: () => HTMLElement | null | undefined): void {
  const { activeElement } = document;
  if (!activeElement || !within.contains(activeElement) || !activeElement.matches(':focus-visible')) return;
  void tick().then(() => {
    if (!activeElement.isConnected || activeElement.matches(':disabled')) next()?.focus();
  });
}
