import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createError, TopKAbortError } from '../src/errors.ts';
import { StepStream, stepsOf } from '../src/generation.ts';
import type { Handlers } from '../src/protocol.ts';
import { LocalConnection } from '../src/rpc.ts';
import type { WasmSteps } from '../src/topk_lm.js';
import type { Tensor } from '../src/types.ts';

const OPTIONS = { maxTokens: 8, edits: [], hooks: [] };

const bits = (...numbers: number[]) => new Uint32Array(Float32Array.from(numbers).buffer);

/** Steps as the engine packs them, each with nothing but its token, whose text is `<id>`. */
function packed(first: number, ids: number[], finish: WasmSteps['finish']): WasmSteps {
  const texts = ids.map((id) => `<${id}>`);
  const words = ids.flatMap((id, at) => [id, ...bits(-1), (texts[at] as string).length, 0, 0]);
  return { first, words: Uint32Array.from(words), text: texts.join(''), names: [], finish };
}

/** A host that hands out batches as they are given and notes what is asked of it. */
function hostOf(batches: (number[] | Error)[]) {
  const asked: string[] = [];
  let index = 0;
  const host: Partial<Handlers> = {
    openGeneration: async () => {
      asked.push('open');
      return { handle: 1, seed: 42n, promptIds: Uint32Array.of(5, 6) };
    },
    nextSteps: async () => {
      asked.push('next');
      const batch = batches.shift();
      if (batch instanceof Error) throw batch;
      const steps = packed(index, batch ?? [], batches.length === 0 ? 'length' : null);
      index += batch?.length ?? 0;
      return steps;
    },
    closeGeneration: async () => {
      asked.push('close');
    },
  };
  return { asked, stream: (signal?: AbortSignal) => new StepStream(new LocalConnection(host as Handlers), 'x', OPTIONS, signal) };
}

const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

test('the end of a block with `await using` ends a stream, also one that was never read', async () => {
  const { asked, stream } = hostOf([[1, 2], [3]]);
  const read = stream();
  await read.next();
  for (const generation of [read, stream()]) {
    assert.equal(await generation[Symbol.asyncDispose](), undefined);
    assert.deepEqual(await generation.next(), { done: true, value: undefined });
  }
  assert.deepEqual(
    asked.filter((what) => what !== 'next'),
    ['open', 'close'],
  );
});

test('steps come one by one, empty batches are passed over, the end is said and closed once', async () => {
  const { asked, stream } = hostOf([[1, 2], [], [3]]);
  const generation = stream();
  assert.equal(generation.seed, null);
  const ids = [];
  for await (const step of generation) {
    assert.equal(generation.seed, 42n);
    assert.equal(generation.finish, null);
    assert.deepEqual(step, { index: ids.length, id: step.id, text: `<${step.id}>`, logprob: -1, hooks: {}, evicted: [], admitted: [] });
    ids.push(step.id);
  }
  assert.deepEqual(ids, [1, 2, 3]);
  assert.equal(generation.finish, 'length');
  assert.deepEqual(generation.promptIds, Uint32Array.of(5, 6));
  assert.deepEqual(asked, ['open', 'next', 'next', 'next', 'close']);
  assert.deepEqual(await generation.next(), { done: true, value: undefined });
});

test('nothing starts before the first step is asked for, and then one batch is made ahead, no more', async () => {
  const { asked, stream } = hostOf([[1], [2], [3], [4]]);
  const generation = stream();
  await settle();
  assert.deepEqual(asked, []);
  await generation.next();
  await settle();
  assert.deepEqual(asked, ['open', 'next', 'next']);
});

test('leaving the loop ends the generation', async () => {
  const { asked, stream } = hostOf([[1, 2], [3], [4]]);
  const generation = stream();
  for await (const { id } of generation) if (id === 1) break;
  assert.equal(asked.at(-1), 'close');
  assert.equal(generation.finish, null);
  assert.equal((await generation.next()).done, true);
});

test('why it ended is said at the end, and not of one that was left when its last steps were made', async () => {
  const left = hostOf([[1, 2]]).stream();
  for await (const { id } of left) if (id === 1) break;
  assert.equal((await left.next()).done, true);
  assert.equal(left.finish, null);
  const abort = new AbortController();
  const aborted = hostOf([[1, 2]]).stream(abort.signal);
  await aborted.next();
  abort.abort();
  await assert.rejects(aborted.next(), TopKAbortError);
  assert.equal(aborted.finish, null);
  const whole = hostOf([[1], [2]]).stream();
  for await (const _ of whole);
  await whole.return();
  await whole.next();
  assert.equal(whole.finish, 'length');
});

test('an abort rejects the next step and closes, whether someone reads or not', async () => {
  const reading = hostOf([[1], [2], [3]]);
  const abort = new AbortController();
  const generation = reading.stream(abort.signal);
  await generation.next();
  abort.abort();
  await settle();
  assert.equal(reading.asked.at(-1), 'close');
  await assert.rejects(generation.next(), TopKAbortError);
});

test('an abort in the middle of a step is reported when the host has freed the generation', async () => {
  let freed = false;
  const host: Partial<Handlers> = {
    openGeneration: async () => ({ handle: 1, seed: 42n, promptIds: Uint32Array.of(5) }),
    nextSteps: () => new Promise(() => {}),
    closeGeneration: async () => {
      await settle();
      freed = true;
    },
  };
  const abort = new AbortController();
  const generation = new StepStream(new LocalConnection(host as Handlers), 'x', OPTIONS, abort.signal);
  const step = generation.next();
  await settle();
  abort.abort();
  await assert.rejects(step, TopKAbortError);
  assert.ok(freed);
});

test('an abort while the host opens is reported at once, whatever comes of it, and what opens late is closed', async () => {
  const late = { handle: 7, seed: 42n, promptIds: Uint32Array.of(5) };
  for (const fails of [false, true]) {
    const closed: number[] = [];
    let finish!: () => void;
    const opening = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const host: Partial<Handlers> = {
      openGeneration: async () => {
        await opening;
        if (fails) throw createError('context', 'The prompt is too long.');
        return late;
      },
      closeGeneration: async ({ handle }) => void closed.push(handle),
    };
    const abort = new AbortController();
    const generation = new StepStream(new LocalConnection(host as Handlers), 'x', OPTIONS, abort.signal);
    const step = generation.next();
    await settle();
    abort.abort();
    await assert.rejects(step, TopKAbortError);
    finish();
    await settle();
    assert.deepEqual(closed, fails ? [] : [7]);
    assert.equal(getEventListeners(abort.signal, 'abort').length, 0);
  }
});

test('a stream that has ended listens to its signal no longer: one signal may serve many', async () => {
  const { signal } = new AbortController();
  const listeners = () => getEventListeners(signal, 'abort').length;
  let most = 0;
  for await (const _ of hostOf([[1], [2]]).stream(signal)) most = Math.max(most, listeners());
  assert.ok(most > 0);
  for await (const _ of hostOf([[1], [2]]).stream(signal)) break;
  await assert.rejects(
    hostOf([createError('non-finite', 'Layer 3 became infinite.')])
      .stream(signal)
      .next(),
    /Layer 3/,
  );
  await settle();
  assert.equal(listeners(), 0);
});

test('whoever leaves while a step is awaited ends it: no error, unless it was aborted', async () => {
  const hosted = (signal?: AbortSignal) => {
    let cancel!: (error: Error) => void;
    const host: Partial<Handlers> = {
      openGeneration: async () => ({ handle: 1, seed: 42n, promptIds: Uint32Array.of(5) }),
      nextSteps: () =>
        new Promise((_, reject) => {
          cancel = reject;
        }),
      closeGeneration: async () => {
        cancel(createError('aborted', 'The generation has already ended.'));
      },
    };
    return new StepStream(new LocalConnection(host as Handlers), 'x', OPTIONS, signal);
  };
  const left = hosted();
  const step = left.next();
  await settle();
  await left.return();
  assert.deepEqual(await step, { done: true, value: undefined });
  const abort = new AbortController();
  const aborted = hosted(abort.signal);
  const last = aborted.next();
  await settle();
  abort.abort();
  await aborted.return();
  await assert.rejects(last, TopKAbortError);
});

test('throw() ends the generation with the error that it is given, also through yield*', async () => {
  const { asked, stream } = hostOf([[1], [2], [3]]);
  async function* through() {
    yield* stream();
  }
  const outer = through();
  await outer.next();
  const error = new Error('mine');
  await assert.rejects(outer.throw(error), (thrown) => thrown === error);
  assert.equal(asked.at(-1), 'close');
});

test('a stream that nobody has any more is closed, whether its signal lives or not', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const { signal } = new AbortController();
  for (const given of [undefined, signal]) {
    const { asked, stream } = hostOf([[1], [2], [3], [4]]);
    await (async () => void (await stream(given).next()))();
    for (let round = 0; round < 2000 && asked.at(-1) !== 'close'; round++) {
      await settle();
      collect();
    }
    assert.equal(asked.at(-1), 'close');
  }
  assert.equal(getEventListeners(signal, 'abort').length, 0);
});

test('an error of the host ends the stream and closes it', async () => {
  const { asked, stream } = hostOf([[1], createError('non-finite', 'Layer 3 became infinite.'), [2]]);
  const generation = stream();
  await generation.next();
  await assert.rejects(generation.next(), /Layer 3/);
  assert.equal(asked.at(-1), 'close');
  assert.equal((await generation.next()).done, true);
});

test('overlapping next() calls get consecutive steps', async () => {
  const { stream } = hostOf([[1], [2, 3]]);
  const generation = stream();
  const steps = await Promise.all([generation.next(), generation.next(), generation.next(), generation.next()]);
  assert.deepEqual(
    steps.map(({ value }) => value?.id),
    [1, 2, 3, undefined],
  );
});

test('steps come in one buffer and are told apart there, with all that they may have', () => {
  const hooksOfFirst = [2, 1, 3, ...bits(1, -2, 0.5), 0, 8, 0, 2, 3, 7, ...bits(4, 9), 0, 8, 0, 0];
  const hooksOfSecond = [2, 1, 3, ...bits(0, 0, 1), 0, 8, 0, 0, 0, 8, 0, 1, 5, ...bits(2)];
  const swaps = [2, 0, 17, 2, 1, 4, 5, 90, 3, 17, 0, 1, 11];
  // The text of the first has two UTF-16 units, that of the second none.
  const first = [65, ...bits(-0.5), 2, 2, 65, 70, ...bits(-0.5, -1.5), ...swaps, ...hooksOfFirst];
  const second = [70, ...bits(-1.5), 0, 0, 0, ...hooksOfSecond];
  const names = ['blocks.0.hook_resid_pre', 'blocks.0.hook_topk_out', 'blocks.1.hook_topk_out'];
  // Behind something else in its buffer.
  const words = Uint32Array.from([9, 9, ...first, ...second]).subarray(2);
  const active = (entries: Record<number, number>) => ({
    shape: [1, 8],
    rowStart: Uint32Array.of(0, Object.keys(entries).length),
    indices: Uint32Array.from(Object.keys(entries), Number),
    values: Float32Array.from(Object.values(entries)),
  });
  const dense = (...numbers: number[]) => ({ data: Float32Array.from(numbers), shape: [1, 3] });
  const hooks = (...values: unknown[]) => Object.fromEntries(names.map((name, at) => [name, values[at]]));
  const steps = [...stepsOf({ first: 6, words, text: '🦊', names, finish: null })];
  assert.deepEqual(steps, [
    {
      index: 6,
      id: 65,
      text: '🦊',
      logprob: -0.5,
      topLogprobs: { ids: Uint32Array.of(65, 70), logprobs: Float32Array.of(-0.5, -1.5) },
      evicted: [{ layer: 0, position: 17, indices: Uint32Array.of(4, 5) }],
      admitted: [
        { layer: 0, position: 17, indices: Uint32Array.of(90) },
        { layer: 3, position: 17, indices: Uint32Array.of(11) },
      ],
      hooks: hooks(dense(1, -2, 0.5), active({ 3: 4, 7: 9 }), active({})),
    },
    { index: 7, id: 70, text: '', logprob: -1.5, evicted: [], admitted: [], hooks: hooks(dense(0, 0, 1), active({}), active({ 5: 2 })) },
  ]);
  const buffers = steps.map(({ hooks }) => (hooks[names[0] as string] as Tensor).data.buffer);
  assert.deepEqual(buffers, [words.buffer, words.buffer]);
});
