/** Starts the engine's host, in a worker or here, and connects to it. */
import { HERE_INSTEAD, hostHere, ownWorkers } from './beside.js';
import { createError } from './errors.js';
import type { Connection, TeamRequest } from './protocol.js';
import { LocalConnection, RpcClient } from './rpc.js';
import { isNode } from './sources/node.js';
import { Team, threadsFor } from './team.js';
import { scriptsAt, trusted, type WorkerScript } from './worker-script.js';

/** How long a worker may take to fetch and evaluate its scripts, in ms. */
const START_TIMEOUT = 60_000;

const INSTEAD = 'import topk-lm/bundle, which is one file, say where worker.js is by workerUrl, or compute in the page with worker: false';

export interface HostOptions {
  /** `undefined`: the default of this environment. */
  worker: boolean | undefined;
  /** Absolute. */
  workerUrl: string | undefined;
  /** `undefined`: the default of this environment. */
  threads: number | undefined;
}

/** A new host, and how its engine gets other threads. */
interface Connected {
  connection: Connection;
  team?: TeamRequest;
}

/** A connection to a new host. */
export async function connect({ worker, workerUrl, threads: asked }: HostOptions): Promise<Connected> {
  const threads = threadsFor(asked, worker);
  const possible = !isNode && typeof Worker === 'function';
  if (worker && !possible) {
    throw createError('worker', 'Workers are not available here (Node has none); leave out worker, or set worker: false.');
  }
  if (!(worker ?? possible)) return { connection: await startHere() };
  const ways = () => (workerUrl === undefined ? ownWorkers() : scriptsAt(workerUrl));
  try {
    const connection = await startFirst(ways);
    if (threads === 1) return { connection };
    const close = connection.close.bind(connection);
    const team = new Team(
      threads - 1,
      () => startFirst(ways),
      (reason) => connection.close(reason),
    );
    connection.close = (reason) => {
      close(reason);
      team.close(reason);
    };
    return { connection, team: team.request };
  } catch (error) {
    if (HERE_INSTEAD && worker === undefined && workerUrl === undefined && (asked ?? 1) === 1) return { connection: await startHere() };
    throw error;
  }
}

async function startHere(): Promise<Connection> {
  const host = await hostHere().catch((error) => {
    const message = `The engine's scripts could not be imported (${String(error)}); import topk-lm/bundle, which is one file.`;
    throw createError('worker', message, { cause: error });
  });
  const connection = new LocalConnection(host.handlers);
  host.onCrash((error) => connection.close(error as Error));
  return connection;
}

/** The first of several ways that works; if none does, the error of the first. */
async function startFirst(ways: () => WorkerScript[]): Promise<Connection> {
  let first: unknown;
  for (const script of attempt(ways)) {
    try {
      return await startWorker(script);
    } catch (error) {
      first ??= error;
    }
  }
  throw first;
}

async function startWorker({ from, start }: WorkerScript): Promise<Connection> {
  const worker = attempt(() => trusted(start));
  const client = new RpcClient(worker);
  const close = client.close.bind(client);
  client.close = (reason) => {
    close(reason);
    worker.terminate(); // frees its memory and its GPU device
  };
  let started = false;
  const fail = (what: string) => {
    client.close(
      createError(
        'worker',
        started
          ? `The worker stopped working (${what}); load the model again.`
          : `The worker could not be started from ${from} (${what}); ${INSTEAD}.`,
      ),
    );
  };
  worker.addEventListener('error', (event) => {
    event.preventDefault?.();
    fail(event.message || "its script could not be loaded, or this page's policy forbids it");
  });
  worker.addEventListener('messageerror', () => fail('a message could not be read'));
  const timer = setTimeout(() => fail(`no answer for ${START_TIMEOUT / 1000} s`), START_TIMEOUT);
  try {
    await client.ready;
    started = true;
    return client;
  } finally {
    clearTimeout(timer);
  }
}

function attempt<T>(create: () => T): T {
  try {
    return create();
  } catch (error) {
    throw createError('worker', `The worker could not be created (${String(error)}); ${INSTEAD}.`, { cause: error });
  }
}
