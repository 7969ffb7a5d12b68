/** Ways to start a worker's script from wherever it is. */

/** One of them. That a worker does not start shows only later, as its `error` event. */
export interface WorkerScript {
  /** Where the script is, for messages. */
  from: string;
  start(): Worker;
}

/** Whether a worker may be started from `url` itself. A sandboxed frame has no origin, so nothing is of its own. */
export function hasOwnOrigin(url: string): boolean {
  const { protocol, origin } = new URL(url);
  // Bundlers that leave a `file:` URL in `import.meta.url` have rewritten the expression with it.
  return globalThis.origin !== 'null' && (protocol === 'file:' || protocol === 'blob:' || origin === globalThis.origin);
}

interface TrustedTypes {
  createPolicy(name: string, rules: object): { createScriptURL(url: string | URL): string };
}

let policy: ReturnType<TrustedTypes['createPolicy']> | undefined;

/**
 * Starts a worker, also where the page demands trusted types. `new Worker(new URL(…))` has to stay as bundlers look for it, so that the global
 * `Worker` has a stand-in meanwhile.
 */
export function trusted(start: () => Worker): Worker {
  try {
    return start();
  } catch (error) {
    const { trustedTypes, Worker } = globalThis as typeof globalThis & { trustedTypes?: TrustedTypes };
    if (!trustedTypes) throw error;
    policy ??= trustedTypes.createPolicy('topk-lm', { createScriptURL: (url: string) => url });
    const ours = policy;
    try {
      globalThis.Worker = class extends Worker {
        constructor(url: string | URL, options?: WorkerOptions) {
          super(ours.createScriptURL(url), options);
        }
      };
      return start();
    } finally {
      globalThis.Worker = Worker;
    }
  }
}

/** A module at any URL. */
export function scriptsAt(url: string): WorkerScript[] {
  return hasOwnOrigin(url) ? [{ from: url, start: () => new Worker(url, { type: 'module' }) }] : importing(url);
}

/** A module of another origin: through one that imports it. */
export function importing(url: string): WorkerScript[] {
  return fromText(`import ${JSON.stringify(url)};`, url, 'module');
}

/** A text as a script: from a `blob:`, or from a `data:` URL, which is all that a sandboxed frame may start. */
export function fromText(text: string, from: string, type: WorkerType): WorkerScript[] {
  const blob = () => {
    const url = URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
    const over = () => URL.revokeObjectURL(url);
    try {
      const worker = new Worker(url, { type });
      for (const end of ['message', 'error']) worker.addEventListener(end, over, { once: true });
      return worker;
    } catch (error) {
      over();
      throw error;
    }
  };
  const data = () => new Worker(`data:text/javascript;charset=utf-8,${encodeURIComponent(text)}`, { type });
  return (globalThis.origin === 'null' ? [data] : [blob, data]).map((start) => ({ from, start }));
}
