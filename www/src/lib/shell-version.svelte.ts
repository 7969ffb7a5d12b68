/** The service worker that makes the app shell available offline, and updates to a new version. */

/** Whether a new version is ready and the reader has not switched to it. */
export const update = $state({ isReady: false });

let waiting: ServiceWorker | null = null;
/** Whether the reader wants the new version in this tab. */
let isWanted = false;

interface TrustedTypes {
  createPolicy(name: string, rules: object): { createScriptURL(url: string): string };
}

/** The worker's address as a host wants it that demands trusted types; its policy may refuse the name (docs/hosting.md). */
function trusted({ href }: URL): string {
  const { trustedTypes } = globalThis as typeof globalThis & { trustedTypes?: TrustedTypes };
  try {
    return trustedTypes?.createPolicy('topk-lm-site', { createScriptURL: (url: string) => url }).createScriptURL(href) ?? href;
  } catch {
    return href;
  }
}

/**
 * Registers the worker of the built site. Without one (plain http, private windows) the site only works online.
 *
 * @param settled - on a first visit the worker, which fetches the whole shell, waits for this: the reader waits for the model
 * @param isKept - whether a reload loses nothing of this tab
 */
export async function keepShell(settled: Promise<void>, isKept: () => boolean): Promise<void> {
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
  const { serviceWorker } = navigator;
  // Without a controller this page is the first: the worker takes it over without a change of version.
  let isFirst = serviceWorker.controller === null;
  if (isFirst) await settled;
  isFirst = serviceWorker.controller === null; // meanwhile another tab may have brought it
  serviceWorker.addEventListener('controllerchange', () => {
    if (!isFirst && (isWanted || isKept()))
      location.reload(); // the address holds the state
    else if (!isFirst) {
      waiting = null; // another tab took it
      update.isReady = true;
    }
    isFirst = false;
  });
  try {
    const registration = await serviceWorker.register(trusted(new URL('service-worker.js', document.baseURI)));
    const offer = (worker: ServiceWorker | null) => {
      if (!worker || !serviceWorker.controller) return;
      const ready = () => {
        if (worker.state !== 'installed') return;
        waiting = worker;
        update.isReady = true;
      };
      worker.addEventListener('statechange', ready);
      ready();
    };
    offer(registration.waiting);
    registration.addEventListener('updatefound', () => offer(registration.installing));
  } catch {
    // The browser refuses: the site works, but not offline.
  }
}

/** Switches this page to the new version, and every other open one that loses nothing by it. */
export function takeUpdate(): void {
  isWanted = true;
  if (waiting) waiting.postMessage('take-over');
  else location.reload();
}
