/** Effects of neurons on a logit, put together by index. */

export interface NeuronEffect {
  layer: number;
  index: number;
  effect: number;
}

/** One index in all layers in which it is active. */
export interface IndexEffect {
  index: number;
  sum: number;
  /** By layer, ascending. */
  layers: { layer: number; effect: number }[];
}

/** Sums over the layers, the largest by size first; at a tie the lower index. */
export function sumByIndex(effects: readonly NeuronEffect[]): IndexEffect[] {
  const found = new Map<number, IndexEffect>();
  for (const { layer, index, effect } of effects) {
    const entry = found.get(index) ?? { index, sum: 0, layers: [] };
    entry.sum += effect;
    entry.layers.push({ layer, effect });
    found.set(index, entry);
  }
  for (const { layers } of found.values()) layers.sort((a, b) => a.layer - b.layer);
  return [...found.values()].sort((a, b) => Math.abs(b.sum) - Math.abs(a.sum) || a.index - b.index);
}
