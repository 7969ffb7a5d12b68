/** The pages of the site: the one table that routes, titles and navigation are made of. A page’s component is `pages/COMPONENT.svelte`. */

interface Page {
  /** In the address: `#/explore`; the first page also has the bare `#/`. */
  name: string;
  component: string;
  /** In the title of the window. */
  title: string;
  /** Its link in the navigation; `null`: it has none. */
  link: string | null;
  /** The page whose link is marked while this one is open. */
  under?: string;
}

/** In the order of the navigation; the site opens with the first one. */
export const PAGES = [
  { name: 'start', component: 'Start', title: 'Flip one neuron and the story changes', link: null },
  { name: 'explore', component: 'Explore', title: 'Explore', link: 'Explore' },
  { name: 'gallery', component: 'Gallery', title: 'Gallery', link: 'Gallery' },
  { name: 'browse', component: 'Browse', title: 'Browse', link: 'Browse' },
  { name: 'neuron', component: 'Neuron', title: 'Neuron', link: null, under: 'browse' },
  { name: 'steer', component: 'Steer', title: 'Steer', link: 'Steer' },
  { name: 'patch', component: 'Patch', title: 'Patch', link: 'Patch' },
  { name: 'trace', component: 'Trace', title: 'Trace', link: 'Trace' },
  { name: 'challenges', component: 'Challenges', title: 'Challenges', link: 'Challenges' },
  { name: 'byo', component: 'Byo', title: 'Your model', link: 'Your model' },
  { name: 'about', component: 'About', title: 'About', link: 'About' },
] as const satisfies readonly Page[];

export type PageName = (typeof PAGES)[number]['name'];

export const isPage = (name: string | undefined): name is PageName => PAGES.some((page) => page.name === name);

export function pageOf(name: PageName): Page {
  return PAGES.find((page) => page.name === name) ?? PAGES[0];
}
