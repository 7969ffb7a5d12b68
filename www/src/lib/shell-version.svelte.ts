/** The service worker that makes the app shell available offline, and updates to a new version. */

/** Whether a new version is ready and the reader has not switched to it. */
export const update = $state({ isReady: false });

let waiting: ServiceWorker | null = null;

/**
 * Registers the worker of the built site. Without one (plain http, private windows) the site only works online.
 *
 * @param settled - on a first visit the worker, which fetches the whole shell, waits for this: the reader waits for the model
 */
export async function keepShell(settled: Promise<void>): Promise<void> {
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
  const { serviceWorker } = navigator;
  // Without a controller this page is the first: the worker takes it over without a change of version.
  let isFirst = serviceWorker.controller === null;
  if (isFirst) await settled;
  serviceWorker.addEventListener('controllerchange', () => {
    if (!isFirst) location.reload(); // the address holds the state
    isFirst = false;
  });
  try {
    const registration = await serviceWorker.register(new URL('service-worker.js', document.baseURI));
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

/** Switches every open page of the site to the new version. */
export function takeUpdate(): void {
  waiting?.postMessage('take-over');
}
