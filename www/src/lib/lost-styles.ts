/** Stylesheets of pages that did not arrive. The code that loads pages asks for each only once, and would then show a page without its styles. */

const lost = new Set<HTMLLinkElement>();
addEventListener(
  'error',
  ({ target }) => {
    if (target instanceof HTMLLinkElement && target.rel === 'stylesheet') lost.add(target);
  },
  true,
);

/** Asks for them again: resolves once all are there. */
export async function lostStyles(): Promise<void> {
  await Promise.all(
    [...lost].map(
      (link) =>
        new Promise<void>((resolve, reject) => {
          lost.delete(link);
          const again = link.cloneNode() as HTMLLinkElement;
          again.onload = () => resolve();
          again.onerror = () => reject(new Error(`${link.href} could not be loaded.`));
          link.replaceWith(again);
        }),
    ),
  );
}
