/** What a screen reader is told of work that ends somewhere on the page: one live region for all of it, in Shell.svelte. */
import { tick } from 'svelte';

let sentence = $state('');

/** The last sentence; '' for none. */
export const said = (): string => sentence;

/** Says a sentence, also where it is the same as the last one; '' says nothing, and takes that away. */
export async function say(next: string): Promise<void> {
  sentence = '';
  await tick();
  sentence = next;
}
