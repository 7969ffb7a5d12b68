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
