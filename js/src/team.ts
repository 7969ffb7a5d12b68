/** Threads that compute beside an engine's worker, each in a worker of its own; see crate/src/numerics/team.rs. */
import { createError } from './errors.js';
import type { Connection, TeamRequest } from './protocol.js';
import { isNode } from './sources/node.js';

/** Threads without being asked, at most: more of them wait for memory, and for each other. */
const USUAL = 4;

/** How many threads a model on the CPU computes with, the engine's own included. */
export function threadsFor(asked: number | undefined, worker: boolean | undefined): number {
  const shares = !isNode && worker !== false && typeof Worker === 'function' && globalThis.crossOriginIsolated === true;
  if (asked === undefined) return shares ? Math.min(USUAL, Math.max(1, Math.floor(navigator.hardwareConcurrency / 2))) : 1;
  if (asked > 1 && !shares) {
    const where =
      'only the worker of an isolated page (Cross-Origin-Opener-Policy: same-origin, Cross-Origin-Embedder-Policy: require-corp)';
    throw createError('argument', `threads is ${asked}, but ${where} can share memory with others; leave threads out.`);
  }
  return asked;
}

/** What an engine's worker needs to ask for its threads, once it knows that it computes on the CPU. */
export class Team {
  readonly request: TeamRequest;
  readonly #members = new Set<Connection>();
  readonly #onLost: (reason: Error) => void;
  /** The page's end of the request's port. */
  readonly #port: MessagePort;
  #closed: Error | undefined;

  /** `start` starts a worker; `onLost` hears when one of them ends by itself. */
  constructor(members: number, start: () => Promise<Connection>, onLost: (reason: Error) => void) {
    const { port1, port2 } = new MessageChannel();
    this.request = { members, port: port2 };
    this.#port = port1;
    this.#onLost = onLost;
    port1.onmessage = async ({ data }) => {
      const joining = Array.from({ length: members }, (_, number) => this.#join(start, { ...data, number, members }));
      const joined = await Promise.all(joining).then(
        () => true,
        (error: Error) => {
          this.#end(error);
          return false;
        },
      );
      port1.postMessage(joined);
      port1.close();
    };
  }

  /** Resolves when the member is there. */
  async #join(
    start: () => Promise<Connection>,
    args: { module: WebAssembly.Module; block: SharedArrayBuffer; number: number; members: number },
  ) {
    const member = await start();
    this.#members.add(member);
    if (this.#closed) member.close(this.#closed);
    let isThere = false;
    await new Promise<void>((resolve, reject) => {
      const onEvent = () => {
        isThere = true;
        resolve();
      };
      // A member serves as long as there is an engine.
      member.call('join', args, { onEvent }).catch((cause: Error) => {
        const lost = createError('device-lost', 'A thread of the engine stopped; load the model again.', { cause });
        if (isThere && !this.#closed) this.#onLost(lost);
        else reject(cause);
      });
    });
  }

  /** Ends all members. */
  close(reason: Error): void {
    this.#port.close();
    this.#end(reason);
  }

  #end(reason: Error): void {
    this.#closed ??= reason;
    for (const member of this.#members) member.close(reason);
    this.#members.clear();
  }
}
