/**
 * What the package is made of besides this script: files next to it. Bundlers look for exactly the expressions below, and put the files
 * where these then point. The one-file build (`topk-lm/bundle`) takes `within.ts` in place of this module. The worker must not import it: Parcel
 * then builds the worker for the worker, too, and neither starts.
 */
import type { Host } from './host.js';
import { hasOwnOrigin, importing, type WorkerScript } from './worker-script.js';

/** Ways to start the package's own worker, best first. */
export function ownWorkers(): WorkerScript[] {
  const own = import.meta.url;
  if (!hasOwnOrigin(own)) return importing(new URL('./worker.js', own).href);
  return [
    {
      from: 'worker.js next to this script',
      start: () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }),
    },
  ];
}

/** Whether to compute on this thread where no worker starts and nobody asked for one. */
export const HERE_INSTEAD = false;

/** The host, for this thread. */
export async function hostHere(): Promise<Host> {
  return (await import('./host.js')).createHost();
}

/** The engine, where the page sends it to its host; `undefined`: the host fetches it from `wasmUrl()`. */
export function ownWasm(): Uint8Array<ArrayBuffer> | undefined {
  return undefined;
}
