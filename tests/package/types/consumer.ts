// A TypeScript user's file: it only has to compile. Each assignment fixes a type of the public API.
import {
  type ActiveRows,
  type BatchRequest,
  type BatchResult,
  type EachSetResult,
  type GenerationStep,
  type RunResult,
  type Tensor,
  TopKError,
  TopKLM,
} from 'topk-lm';

export async function use(files: FileList, signal: AbortSignal): Promise<void> {
  const model: TopKLM = await TopKLM.load('https://host.example/model/', {
    backend: 'webgpu',
    signal,
    onProgress: ({ totalBytes }) => totalBytes?.toFixed(),
  });
  await TopKLM.load(files);
  await TopKLM.load({ 'config.json': new Uint8Array(), 'model.safetensors': new ArrayBuffer(8) }, { worker: false });
  const kind: 'webgpu' | 'cpu' = model.backend.kind;
  const ids: Uint32Array = await model.tokenizer.encode(kind);

  const result = await model.run(ids, {
    hooks: ['blocks.0.hook_topk_out', 'hook_embed'],
    edits: [{ layer: 0, index: 1, action: 'ablate' }],
  });
  const rows: ActiveRows = result.hooks['blocks.0.hook_topk_out'];
  const embedded: Tensor = result.hooks.hook_embed;
  // @ts-expect-error a hook that was not asked for
  result.hooks.hook_pos_embed;
  // @ts-expect-error an action that does not exist
  await model.run('text', { edits: [{ layer: 0, index: 1, action: 'double' }] });

  const names: string[] = ['blocks.0.hook_topk_out'];
  const some: RunResult<string> = await model.run('text', { hooks: names, logits: 'none' });
  const either: Tensor | ActiveRows | undefined = some.hooks.hook_embed;

  const generation = model.generate('Once', { maxTokens: 4, seed: 1n, hooks: ['blocks.1.hook_topk_out'], signal });
  for await (const step of generation) {
    const values: Float32Array = step.hooks['blocks.1.hook_topk_out'].values;
    const plain: GenerationStep<'blocks.1.hook_topk_out'> = step;
    console.log(plain.text, values, rows.rowStart, embedded.data, either);
  }
  const all = await model.generateBatch(
    [1, 2].map((seed) => ({ prompt: 'Once', seed, hooks: ['blocks.1.hook_topk_out'] as const })),
    { onStep: ({ hooks }, number) => console.log(hooks['blocks.1.hook_topk_out'].values, number), signal },
  );
  const written: string | undefined = all[0]?.text;
  // @ts-expect-error one signal ends all
  await model.generateBatch([{ prompt: 'Once', signal }]);
  // @ts-expect-error an option that does not exist
  await model.generateBatch([{ prompt: 'Once', maxToken: 3 }]);
  const [first, second, third] = await model.generateBatch(
    [
      { prompt: 'Once', hooks: ['hook_embed', 'blocks.1.hook_topk_out'] },
      { prompt: 'Once', hooks: ['blocks.0.hook_topk_out'] },
      { prompt: 'Once' },
    ],
    {
      // @ts-expect-error a hook that not every generation asks for
      onStep: ({ hooks }) => console.log(hooks['blocks.0.hook_topk_out']),
    },
  );
  const ofFirst: Tensor | undefined = first.steps[0]?.hooks.hook_embed;
  const indices: Uint32Array | undefined = second.steps[0]?.hooks['blocks.0.hook_topk_out'].indices;
  // @ts-expect-error a hook that another generation asks for
  first.steps[0]?.hooks['blocks.0.hook_topk_out'];
  // @ts-expect-error a hook that none asks for
  third.steps[0]?.hooks.hook_embed;
  const requests: BatchRequest[] = [{ prompt: 'Once', hooks: names }];
  const results: BatchResult[] = await model.generateBatch(requests, { onStep: ({ text }: GenerationStep) => console.log(text) });
  const finish: 'length' | 'stop' | 'context' | null = generation.finish;
  const lens: Tensor = await model.logitLens(ids, { layers: [0, 1] });
  const { effects }: { effects: Float32Array } = await model.ablate(ids, 3);
  const each: EachSetResult = await model.setEach(ids, 3, { layers: [0], indices: new Uint32Array(1), values: [2] }, { edits: [] });
  await model.loadCheckpoint(254).catch((error: unknown) => error instanceof TopKError && error.code === 'download');
  console.log(written, ofFirst, indices, results, finish, lens.shape, effects, each.effects);
  await model.dispose();
}
