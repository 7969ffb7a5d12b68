/** A feature that is set to a value, as the engine takes it, and the value from which it starts. */
import type { Edit, TopKLM } from 'topk-lm';
import { MEASURED_AT, positionsOf, rounded, type SetFeature } from '../edits';
import { SAE_FEATURES } from './reading';

export const featureEdit = ({ index, value }: SetFeature, sae: string, model: TopKLM, promptLength: number): Edit => ({
  sae,
  index,
  action: 'clamp',
  value,
  positions: positionsOf(MEASURED_AT, { promptLength, context: model.config.n_ctx }),
});

/** The largest value of any feature over a text after its first token, from which a feature starts. */
export async function largestFeature(model: TopKLM, sae: string, ids: readonly number[], signal: AbortSignal): Promise<number> {
  const hook = `${sae}${SAE_FEATURES}`;
  const { hooks } = await model.run(ids, { hooks: [hook], logits: 'none', signal });
  const value = hooks[hook]!;
  if ('rowStart' in value) return 1;
  let most = 0;
  for (let i = value.shape[1]!; i < value.data.length; i++) most = Math.max(most, value.data[i]!);
  return rounded(most) || 1;
}
