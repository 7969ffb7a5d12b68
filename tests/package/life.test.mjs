// Nothing is left behind: GPU buffers counted by wrapping createBuffer and destroy, wasm memory flat after the first rounds.
// SOAK=1 runs 1,000 generations and 50 loads instead of 100 and 10 on the CPU, 40 and 6 on an emulated GPU.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { golden } from './fixture.mjs';
import { openApi, openBrowser } from './page.mjs';

const browser = await openBrowser(test);
const { prompt_ids } = golden();
/** Generations and loads on each backend, and tokens of a generation: more than it has where it is left early. */
const ROUNDS = process.env.SOAK ? { cpu: [1000, 50, 8], webgpu: [1000, 50, 8] } : { cpu: [100, 10, 8], webgpu: [40, 6, 5] };
const WARM_UP = 5;
/** Read-back buffers that the engine keeps for their next use (crate/src/exec/gpu/staging.rs); how many of them there are depends on timing. */
const KEPT = 4;
/**
 * One page of wasm memory, which never shrinks: its peak depends on what is freed when, so that it may rise once more, late. (Over 40 loads on WebGPU
 * it was 32 pages 13 times, then 33.) What a load or a generation left behind would take more.
 */
const PAGE = 65_536;

/** A page in which `counts` follows the GPU buffers of this realm, and `memory` is the engine's own. */
async function open(t) {
  const api = await openApi(browser, t);
  await api.page.evaluate(() => {
    globalThis.counts = { created: 0, live: 0 };
    if ('GPUDevice' in globalThis) {
      const { createBuffer } = GPUDevice.prototype;
      GPUDevice.prototype.createBuffer = function (descriptor) {
        counts.created++;
        counts.live++;
        return createBuffer.call(this, descriptor);
      };
      const destroyed = new WeakSet();
      const { destroy } = GPUBuffer.prototype;
      GPUBuffer.prototype.destroy = function () {
        if (!destroyed.has(this)) counts.live--;
        destroyed.add(this);
        destroy.call(this);
      };
    }
    const { instantiate } = WebAssembly;
    WebAssembly.instantiate = async (module, imports) => {
      const result = await instantiate(module, imports);
      globalThis.memory = (result.instance ?? result).exports.memory;
      return result;
    };
  });
  return api;
}

for (const [backend, [generations, loads, maxTokens]] of Object.entries(ROUNDS)) {
  test(`${generations} generations and ${loads} loads on ${backend} leave nothing behind`, { timeout: 3_600_000 }, async (t) => {
    const { page } = await open(t);
    page.setDefaultTimeout(0);
    const found = await page.evaluate(
      async ([backend, prompt, generations, loads, maxTokens, warmUp, kept]) => {
        const load = () => topk.TopKLM.load('/model/', { backend, worker: false, cache: false });
        const generate = async (model, round) => {
          const options = { maxTokens, seed: round, ignoreEos: true, edits: [{ layer: 0, index: round % 7, action: 'add', value: 1 }] };
          let tokens = 0;
          // Every third is left early, every fifth aborted: these must free the same.
          const signal = round % 5 === 4 ? AbortSignal.timeout(2) : undefined;
          try {
            for await (const _ of model.generate(prompt, { ...options, signal })) if (++tokens === 3 && round % 3 === 2) break;
          } catch (error) {
            if (error.code !== 'aborted') throw error;
          }
        };
        const now = () => ({ live: counts.live, wasm: memory.buffer.byteLength });
        let model = await load();
        const { kind } = model.backend;
        let warm;
        for (let round = 0; round < generations; round++) {
          if (round === warmUp) warm = now();
          await generate(model, round);
        }
        // What was stopped last is freed when the device has gone past it.
        for (let wait = 0; wait < 100 && counts.live > warm.live + kept; wait++) await new Promise((resolve) => setTimeout(resolve, 100));
        const generated = now();
        await model.dispose();
        let loaded;
        for (let round = 0; round < loads; round++) {
          model = await load();
          await generate(model, 0);
          await model.dispose();
          if (round === Math.min(warmUp, loads >> 1)) loaded = now();
        }
        return { kind, created: counts.created, warm, generated, loaded, end: now() };
      },
      [backend, prompt_ids, generations, loads, maxTokens, WARM_UP, KEPT],
    );
    t.diagnostic(JSON.stringify(found));
    assert.equal(found.kind, backend);
    if (backend === 'webgpu') assert.ok(found.created > 0, 'the buffers were counted');
    assert.ok(found.generated.live <= found.warm.live + KEPT, 'generations free their buffers');
    assert.ok(found.generated.wasm <= found.warm.wasm + PAGE, 'wasm memory is flat over generations');
    assert.equal(found.end.live, 0, 'dispose destroys every buffer');
    assert.ok(found.end.wasm <= found.loaded.wasm + PAGE, 'wasm memory is flat over loads');
  });
}
