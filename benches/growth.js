// What the page measures for growth.mjs: how times grow. Each point has its turn in every round, the larger beside the smaller.
import { numbers } from './numbers.js';
import { TopKLM } from './npm/index.js';
import { topk } from './npm/topk.js';
import { clocked, inTurn, rotated, spread } from './rounds.js';

const DECODED = 8;
const idsOf = (number, length, vocab) => Array.from({ length }, (_, i) => 3 + ((number * 7919 + i * 104729) % (vocab - 3)));

/** Time of a token behind contexts of these lengths, and of prompts of these lengths: points [length, ms] by model. */
async function lengths({ models, backend, contexts, prompts, rounds }) {
  const result = [];
  for (const { name, url } of models) {
    const model = await TopKLM.load(url, { backend });
    try {
      const { d_vocab, n_ctx } = model.config;
      const generate = async (prompt, maxTokens) => {
        for await (const _ of model.generate(prompt, { maxTokens, temperature: 0, ignoreEos: true }));
      };
      const decode = await inTurn(
        contexts.filter((context) => context + DECODED <= n_ctx),
        { rounds },
        async (context, round) => {
          const prompt = idsOf(1000 * context + round, context, d_vocab);
          await generate(prompt, 1); // from here on the prompt is kept: what follows computes its last position and the new ones
          return { ms: (await clocked(() => generate(prompt, DECODED))) / DECODED };
        },
      );
      const prefill = await inTurn(
        prompts.filter((length) => length < n_ctx),
        { rounds },
        async (length, round) => ({
          ms: await clocked(() => model.run(idsOf(500_000 + 1000 * length + round, length, d_vocab), { logits: 'last' })),
        }),
      );
      const points = (times) => [...times].map(([length, { ms }]) => [length, ms.median]);
      result.push({ name, decode: points(decode), prefill: points(prefill) });
    } finally {
      await model.dispose();
    }
  }
  return result;
}

/** From the call of `load` to the first token, nothing stored: points [MB, ms] by number type. */
async function loads({ models, backend, rounds }) {
  const samples = new Map(models.map((model) => [model, []]));
  for (let round = 0; round < rounds; round++) {
    for (const member of rotated(models, round)) {
      let model;
      const ms = await clocked(async () => {
        model = await TopKLM.load(member.url, { backend, cache: false });
        for await (const _ of model.generate([5], { maxTokens: 1, temperature: 0, ignoreEos: true }));
      });
      await model.dispose();
      samples.get(member).push(ms);
    }
  }
  return [...samples].map(([{ name, megabytes }, times]) => ({ name, megabytes, ms: spread(times).median }));
}

const CALLS = 4;

/** topk() on the device: ms of each shape, the last `unsorted` of them without order; null without an adapter. */
async function operator({ shapes, unsorted = 0, rounds }) {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) return null;
  const device = await adapter.requestDevice({ requiredFeatures: ['subgroups'].filter((name) => adapter.features.has(name)) });
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const members = shapes.map(([rows, n, k], at) => {
    const values = numbers(rows * n);
    const input = device.createBuffer({ size: values.byteLength, usage });
    device.queue.writeBuffer(input, 0, values);
    const { values: best, indices } = topk(device, { input, rows, n, k });
    return { input, rows, n, k, sorted: at < shapes.length - unsorted, values: best, indices };
  });
  const times = await inTurn(members, { rounds, warmUp: 2 }, async (member) => ({
    ms:
      (await clocked(async () => {
        for (let i = 0; i < CALLS; i++) topk(device, member);
        await device.queue.onSubmittedWorkDone();
      })) / CALLS,
  }));
  device.destroy();
  return members.map((member) => times.get(member).ms.median);
}

globalThis.growth = { lengths, loads, operator };
