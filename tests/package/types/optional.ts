// A user's wrappers that pass on options their own callers may leave out: with `exactOptionalPropertyTypes`, `undefined` has to be among the types.
import { type Edit, Features, type GenerateOptions, type LoadOptions, type ModelSource, TopKLM } from 'topk-lm';
import { topk, type TopKResult } from 'topk-lm/topk';

/** What the callers of the wrappers may leave out. */
interface Mine {
  cpu?: boolean;
  dtype?: LoadOptions['dtype'];
  onLoad?: (bytes: number) => void;
  edits?: Edit[];
  length?: number;
  seed?: bigint;
  value?: number;
  site?: 'topk_in';
  from?: { from: number; to: number };
  hook?: string;
  layers?: number[];
  onDone?: (done: number) => void;
  store?: string;
  signal?: AbortSignal;
}

export async function use(source: ModelSource, { onLoad, signal, ...mine }: Mine): Promise<unknown[]> {
  const onProgress = onLoad && (({ loadedBytes }: { loadedBytes: number }) => onLoad(loadedBytes));
  const load: LoadOptions = {
    backend: mine.cpu ? 'cpu' : undefined,
    maxContext: mine.length,
    dtype: mine.dtype,
    kvCache: mine.dtype === 'f16' ? 'f16' : undefined,
    threads: mine.length,
    worker: mine.cpu,
    workerUrl: mine.store,
    wasmUrl: mine.store,
    wasm: undefined,
    cache: mine.store,
    hub: mine.store,
    onProgress,
    signal,
  };
  const model = await TopKLM.load(source, load);
  const edit: Edit = {
    layer: 0,
    index: 1,
    action: 'clamp',
    value: mine.value,
    site: mine.site,
    positions: mine.from,
    propagate: undefined,
  };
  const ofFeature: Edit = { sae: 'blocks.0.hook_mlp_out', index: 1, action: 'add', value: mine.value, positions: mine.from };
  const edits = mine.edits ?? [edit, ofFeature];
  const generate: GenerateOptions = {
    maxTokens: mine.length,
    temperature: mine.value,
    topK: mine.length,
    topP: mine.value,
    repetitionPenalty: mine.value,
    seed: mine.seed,
    stop: mine.hook,
    ignoreEos: mine.cpu,
    edits: mine.edits,
    hooks: undefined,
    topLogprobs: mine.length,
    signal,
  };
  const { signal: _, ...more } = generate;
  return [
    model.generate('Once', generate),
    await model.generateBatch([{ prompt: 'Once', ...more }], { onStep: undefined, signal }),
    await model.run('Once', { hooks: undefined, edits, promptLength: mine.length, logits: mine.cpu ? 'all' : undefined, signal }),
    await model.logitLens('Once', { layers: mine.layers, edits: mine.edits, signal }),
    await model.ablate('Once', 3, { edits: mine.edits, onProgress: mine.onDone, signal }),
    await model.loadCheckpoint('final', { onProgress, signal }),
    await model.attachSae('./sae/', { hook: mine.hook, errorTerm: mine.cpu, hub: mine.store, signal }),
    await model.saeQuality('Once', { signal }),
    await model.neuron(0, 1, { signal }),
    await model.tokenizer.encode('a', { splitSpecialTokens: mine.cpu }),
    await model.tokenizer.decode([1], { skipSpecial: mine.cpu }),
    await Features.open(source, { cache: mine.store, hub: mine.store }).file('config.json', { keep: mine.cpu, signal }),
  ];
}

export function find(device: GPUDevice, input: GPUBuffer, into?: GPUBuffer, encoder?: GPUCommandEncoder, isSorted?: boolean): TopKResult {
  return topk(device, { input, rows: 1, n: 9, k: 3, select: undefined, sorted: isSorted, values: into, indices: into, encoder });
}
