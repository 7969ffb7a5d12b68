/** The run behind the picture: the values before each cut, the next tokens, and, where a neuron is set, what that pushed out. */
import type { ActiveRows, Tensor, TopKLM } from 'topk-lm';
import { type Likely, likeliest } from '../distribution';
import { hookOf, kindOf, topkLayers } from '../model-kind';
import type { NeuronId } from '../route';
import type { Beyond } from './scene';

/** Next tokens that are shown. */
const MOST = 5;

export interface Setting extends NeuronId {
  value: number;
}

export interface PictureRun extends Beyond {
  /** Of the text up to the position, as ids. */
  seen: readonly number[];
  set: Setting | null;
  next: readonly Likely[];
  /** With the neuron as it is: the probabilities of the same tokens, in their order. */
  nextBefore: readonly Likely[] | null;
}

/** @param seen - ids up to the position that is drawn */
export async function runPicture(model: TopKLM, seen: readonly number[], set: Setting | null, signal: AbortSignal): Promise<PictureRun> {
  const layers = topkLayers(model.config);
  const at = seen.length - 1;
  const kind = kindOf(model.config);
  const hookIn = (layer: number) => `blocks.${layer}.hook_topk_in`;
  const asItIs = await model.run(seen, { hooks: set ? [] : (layers.map(hookIn) as string[]), logits: 'last', signal });
  const before = (hooks: typeof asItIs.hooks) =>
    new Map(
      layers.map((layer) => {
        const { data, shape } = hooks[hookIn(layer)] as Tensor;
        const d = shape[1] ?? 0;
        return [layer, data.slice(at * d, (at + 1) * d)] as const;
      }),
    );
  if (!set)
    return {
      seen,
      set,
      before: before(asItIs.hooks),
      kept: null,
      push: null,
      next: likeliest(asItIs.logits!.data, MOST).top,
      nextBefore: null,
    };

  const { layer, index, value } = set;
  const edited = await model.run(seen, {
    hooks: layers.flatMap((each) => [hookIn(each), hookOf(kind, each)]) as string[],
    edits: [{ layer, index, action: 'clamp', value, site: 'topk_in', positions: { from: at, to: at + 1 } }],
    logits: 'last',
    signal,
  });
  const kept = layers.map((each) => {
    const { rowStart, indices, values } = edited.hooks[hookOf(kind, each)] as ActiveRows;
    const [from, to] = [rowStart[at] ?? 0, rowStart[at + 1] ?? 0];
    return [each, Array.from({ length: to - from }, (_, i) => ({ index: indices[from + i]!, value: values[from + i]! }))] as const;
  });
  const changed = (changes: typeof edited.evicted) =>
    changes.filter((change) => change.layer === layer && change.position === at).flatMap(({ indices }) => [...indices]);
  const next = likeliest(edited.logits!.data, MOST).top;
  return {
    seen,
    set,
    before: before(edited.hooks),
    kept: new Map(kept),
    push: { layer, index, value, out: changed(edited.evicted), in: changed(edited.admitted) },
    next,
    nextBefore: next.map(({ id }) => ({ id, logprob: likeliest(asItIs.logits!.data, 1, id).wanted ?? Number.NEGATIVE_INFINITY })),
  };
}
