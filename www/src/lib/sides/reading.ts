/** One model at the last of some ids: what is active there, the most telling first, and what it expects next. */
import type { FeatureIndex, TopKLM } from 'topk-lm';
import { activeRows, denseRows } from '../activity';
import { type Likely, likeliest } from '../distribution';
import { kindOf } from '../model-kind';
import { type Ranked, type Ranking, rankedAt } from '../ranking';

/** How many features and next tokens are shown. */
const MOST = { top: 8, next: 5 };

/** The suffix of hooks that hold an autoencoder's features. */
export const SAE_FEATURES = '.hook_sae_acts_post';

export interface Reading {
  layer: number;
  /** How many are not 0, of how many. */
  active: number;
  width: number;
  top: Ranked[];
  next: Likely[];
}

/** What is read, and how it is ranked: as on Explore. */
export interface Asked {
  layer: number;
  hook: string;
  /** Statistics of these weights; `null`: values alone count. */
  index: FeatureIndex | null;
  ranking: Ranking;
}

export async function readSide(
  model: TopKLM,
  ids: readonly number[],
  { layer, hook, index, ranking }: Asked,
  signal: AbortSignal,
): Promise<Reading> {
  const { hooks, logits } = await model.run(ids, { hooks: [hook], logits: 'last', signal });
  const value = hooks[hook]!;
  const isSae = hook.endsWith(SAE_FEATURES);
  const rows = 'rowStart' in value ? value : isSae ? activeRows(value) : denseRows(value);
  const select = isSae ? 'value' : kindOf(model.config) === 'dense' ? 'abs' : model.config.topk_select;
  const last = ids.length - 1;
  const ranked = rankedAt({ rows: new Map([[layer, rows]]), select }, layer, last, { index, ranking, background: false });
  return {
    layer,
    active: rows.rowStart[last + 1]! - rows.rowStart[last]!,
    width: rows.shape[1],
    top: ranked.slice(0, MOST.top),
    next: likeliest(logits!.data, MOST.next).top,
  };
}
