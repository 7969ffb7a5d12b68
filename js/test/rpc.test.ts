import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { createError, throwIfAborted, TopKAbortError, TopKArgumentError, TopKError, TopKWorkerError } from '../src/errors.ts';
import type { Connection, Handlers } from '../src/protocol.ts';
import { LocalConnection, RpcClient, serve, transferables, type Port } from '../src/rpc.ts';

/** Handlers of the methods that the tests use; the rest says that it is missing. */
function handlersWith(some: Partial<Handlers>): Handlers {
  const missing = async () => {
    throw createError('internal', 'not in this test');
  };
  return new Proxy(some, { get: (all, name) => all[name as keyof Handlers] ?? missing }) as Handlers;
}

interface Ends {
  connection: Connection;
  crash(error: unknown): void;
}

function overPort(t: TestContext, handlers: Handlers): Ends {
  const { port1, port2 } = new MessageChannel();
  port1.start();
  port2.start();
  t.after(() => {
    port1.close();
    port2.close();
  });
  const client = new RpcClient(port1 as unknown as Port);
  return { connection: client, crash: serve(port2 as unknown as Port, handlers).crash };
}

/** Something to wait for. */
function event() {
  let happen!: () => void;
  const happened = new Promise<void>((resolve) => {
    happen = resolve;
  });
  return { happen, happened };
}

const never = () => new Promise<never>(() => {});

for (const kind of ['a port', 'the page itself'] as const) {
  const connect = (t: TestContext, some: Partial<Handlers>): Connection => {
    const handlers = handlersWith(some);
    return kind === 'a port' ? overPort(t, handlers).connection : new LocalConnection(handlers);
  };

  test(`over ${kind}: results, typed arrays among them, find their calls`, async (t) => {
    const connection = connect(t, {
      encode: async ({ text }) => {
        await new Promise((resolve) => setTimeout(resolve, text === 'slow' ? 20 : 1));
        return Uint32Array.from(text, (character) => character.charCodeAt(0));
      },
    });
    const results = await Promise.all([connection.call('encode', { text: 'slow' }), connection.call('encode', { text: 'ab' })]);
    assert.deepEqual(results, [Uint32Array.of(115, 108, 111, 119), Uint32Array.of(97, 98)]);
  });

  test(`over ${kind}: errors keep class, code and message`, async (t) => {
    const connection = connect(t, {
      encode: async () => {
        throw { code: 'hook', message: 'There is no hook x.' };
      },
      tokens: async () => {
        throw new RangeError('odd');
      },
    });
    await assert.rejects(connection.call('encode', { text: '' }), (error) => {
      assert.ok(error instanceof TopKArgumentError);
      assert.equal(error.code, 'hook');
      assert.equal(error.message, 'There is no hook x.');
      return true;
    });
    await assert.rejects(
      connection.call('tokens', { ids: Uint32Array.of() }),
      (error) => error instanceof TopKError && error.code === 'internal',
    );
  });

  test(`over ${kind}: events arrive in order, and none after an abort`, async (t) => {
    let emit: (event: { done: number; total: number }) => void = () => {};
    const connection = connect(t, {
      ablate: (_, context) => {
        emit = context.emit;
        for (let done = 1; done <= 3; done++) emit({ done, total: 3 });
        return never();
      },
      encode: async () => Uint32Array.of(7),
    });
    const events: number[] = [];
    const abort = new AbortController();
    const third = event();
    const call = connection.call(
      'ablate',
      { prompt: 'x', target: 1, edits: [], neurons: undefined },
      {
        signal: abort.signal,
        onEvent: ({ done }) => {
          events.push(done);
          if (done === 3) third.happen();
        },
      },
    );
    await third.happened;
    abort.abort();
    await assert.rejects(call, TopKAbortError);
    emit({ done: 4, total: 3 });
    await connection.call('encode', { text: '' }); // its answer comes behind the event
    assert.deepEqual(events, [1, 2, 3]);
  });

  test(`over ${kind}: a callback that throws is reported, and the call goes on`, async (t) => {
    const report = t.mock.method(console, 'error', () => {});
    const connection = connect(t, {
      generateBatch: async (_, { emit }) => {
        for (const number of [1, 2]) emit([{ number, first: 0, words: new Uint32Array(), text: '', names: [], finish: null }]);
        return [{ seed: 7n, promptIds: Uint32Array.of(1) }];
      },
    });
    const onEvent = ([step]: { number: number }[]) => {
      throw new Error(`no ${step?.number}`);
    };
    const [made] = await connection.call('generateBatch', { requests: [] }, { onEvent });
    assert.equal(made?.seed, 7n);
    assert.deepEqual(
      report.mock.calls.map(({ arguments: [error] }) => String(error)),
      ['Error: no 1', 'Error: no 2'],
    );
  });

  test(`over ${kind}: an abort rejects at once, reaches the handler, and leaves other calls alone`, async (t) => {
    let handlerSignal: AbortSignal | undefined;
    const handled = event();
    const connection = connect(t, {
      run: (_, { signal }) => {
        handlerSignal = signal;
        handled.happen();
        return never();
      },
      encode: async () => Uint32Array.of(7),
    });
    const abort = new AbortController();
    const call = connection.call('run', { prompt: 'x', options: { hooks: [], edits: [], logits: 'none' } }, { signal: abort.signal });
    await handled.happened;
    const reason = new Error('enough');
    abort.abort(reason);
    await assert.rejects(call, (error) => error instanceof TopKAbortError && error.name === 'AbortError' && error.cause === reason);
    assert.deepEqual(await connection.call('encode', { text: '' }), Uint32Array.of(7));
    assert.equal(handlerSignal?.aborted, true);
    await assert.rejects(connection.call('encode', { text: '' }, { signal: abort.signal }), TopKAbortError);
  });

  test(`over ${kind}: an abort of a change to the model ends it when the host has answered`, async (t) => {
    const gone = 'gone too far';
    let begun = event();
    let goOn = event();
    const connection = connect(t, {
      loadCheckpoint: async ({ step }, { signal }) => {
        begun.happen();
        await goOn.happened;
        if (step === 'final') throwIfAborted(signal);
        return { cache: { state: 'memory', reason: gone }, checkpoints: [] };
      },
    });
    const outcomeOf = async (step: number | 'final', reason: Error) => {
      [begun, goOn] = [event(), event()];
      const abort = new AbortController();
      const call = connection.call('loadCheckpoint', { step }, { signal: abort.signal });
      await begun.happened;
      abort.abort(reason);
      const open = Symbol('open');
      assert.equal(await Promise.race([call, new Promise((resolve) => setTimeout(resolve, 20, open))]), open);
      goOn.happen();
      return call;
    };
    const reason = new Error('enough');
    await assert.rejects(outcomeOf('final', reason), (error) => error instanceof TopKAbortError && error.cause === reason);
    assert.equal((await outcomeOf(5, reason)).cache.reason, gone);
  });

  test(`over ${kind}: closing rejects calls under way and later ones`, async (t) => {
    const connection = connect(t, { encode: never });
    const call = connection.call('encode', { text: '' });
    connection.close(createError('disposed', 'gone'));
    await assert.rejects(call, /gone/);
    await assert.rejects(connection.call('encode', { text: '' }), /gone/);
  });
}

test('many calls at once in Node, which warns of signals with many listeners', async (t) => {
  const warnings: string[] = [];
  const onWarning = ({ name }: Error) => warnings.push(name);
  process.on('warning', onWarning);
  t.after(() => process.off('warning', onWarning));
  let finish = () => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const connection = new LocalConnection(handlersWith({ encode: async ({ text }) => finished.then(() => Uint32Array.of(text.length)) }));
  const calls = Array.from({ length: 30 }, () => connection.call('encode', { text: 'ab' }));
  await new Promise((resolve) => setTimeout(resolve, 5));
  finish();
  assert.equal((await Promise.all(calls)).length, 30);
  assert.deepEqual(warnings, []);
});

test('a crash of the host rejects everything, also what waits for its start', async (t) => {
  const { connection, crash } = overPort(t, handlersWith({ encode: never }));
  const call = connection.call('encode', { text: '' });
  crash(createError('internal', 'The engine stopped working.'));
  await assert.rejects(call, (error) => error instanceof TopKWorkerError && error.code === 'internal');
  await assert.rejects(connection.call('encode', { text: '' }), TopKWorkerError);

  const silent = new MessageChannel();
  t.after(() => silent.port1.close());
  const client = new RpcClient(silent.port1 as unknown as Port);
  client.close(createError('worker', 'no answer'));
  await assert.rejects(client.ready, /no answer/);
});

test('an argument that cannot be posted is an error that names the method, not a hang', async (t) => {
  const { connection } = overPort(t, handlersWith({ encode: never }));
  await assert.rejects(connection.call('encode', { text: (() => {}) as unknown as string }), (error) => {
    assert.ok(error instanceof TopKArgumentError);
    assert.match(error.message, /^encode: an argument cannot be sent/);
    return true;
  });
});

test('buffers move once each, wherever they are in a result', async (t) => {
  const data = Float32Array.of(1, 2, 3);
  const shared = { data, again: [data, { ids: Uint32Array.of(1) }] };
  assert.equal(transferables(shared).length, 2);
  const { connection } = overPort(t, handlersWith({ logitLens: async () => ({ data, shape: [3] }) }));
  const lens = await connection.call('logitLens', { prompt: 'x', layers: undefined, edits: [] });
  assert.deepEqual(lens, { data: Float32Array.of(1, 2, 3), shape: [3] });
  assert.equal(data.length, 0, 'moved, not copied');
});
