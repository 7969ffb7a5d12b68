// A user's file in a project without the library `dom` and without @webgpu/types: it only has to compile.
import { Features, TopKLM } from 'topk-lm';
import { TopKLM as Bundled } from 'topk-lm/bundle';
import { topk } from 'topk-lm/topk';

export async function use(): Promise<unknown[]> {
  const model = await TopKLM.load('./model', { backend: 'cpu' });
  const { hooks } = await model.run('text', { hooks: ['blocks.0.hook_topk_out'] });
  const rows: Uint32Array = hooks['blocks.0.hook_topk_out'].rowStart;
  return [rows, Bundled, Features, topk];
}
