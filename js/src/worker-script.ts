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
    const worker = new Worker(url, { type });
    for (const end of ['message', 'error']) worker.addEventListener(end, () => URL.revokeObjectURL(url), { once: true });
    return worker;
  };
  const data = () => new Worker(`data:text/javascript;charset=utf-8,${encodeURIComponent(text)}`, { type });
  return (globalThis.origin === 'null' ? [data] : [blob, data]).map((start) => ({ from, start }));
}
