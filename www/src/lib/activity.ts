/** Reads rows of active neurons: the strongest ones at a position, and one neuron's values over a text. */
import type { ActiveRows, Tensor } from 'topk-lm';

export interface Active {
  index: number;
  value: number;
}

/** Active neurons at position t, by ascending index. */
export function rowAt({ rowStart, indices, values }: ActiveRows, t: number): Active[] {
  const from = rowStart[t];
  const to = rowStart[t + 1];
  if (from === undefined || to === undefined) return [];
  return Array.from({ length: to - from }, (_, i) => ({ index: indices[from + i]!, value: values[from + i]! }));
}

/** The same, strongest first (by magnitude where the model selects by it). */
export function activeAt(rows: ActiveRows, t: number, select: 'value' | 'abs'): Active[] {
  const strength = select === 'abs' ? Math.abs : (v: number) => v;
  return rowAt(rows, t).sort((a, b) => strength(b.value) - strength(a.value) || a.index - b.index);
}

/** Value of one neuron at each position, 0 where it is not active; [T] */
export function valuesOf({ rowStart, indices, values }: ActiveRows, index: number): Float32Array {
  const result = new Float32Array(rowStart.length - 1);
  for (let t = 0; t < result.length; t++) {
    let low = rowStart[t]!;
    let high = rowStart[t + 1]!;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (indices[middle]! < index) low = middle + 1;
      else high = middle;
    }
    if (low < rowStart[t + 1]! && indices[low] === index) result[t] = values[low]!;
  }
  return result;
}

/** First position at which two texts differ; `null` if one begins with the other. */
export function divergence(a: ArrayLike<number>, b: ArrayLike<number>): number | null {
  const shared = Math.min(a.length, b.length);
  for (let t = 0; t < shared; t++) if (a[t] !== b[t]) return t;
  return null;
}

/** A dense hidden state [T, d] as rows in which every coordinate is active. */
export function denseRows({ data, shape }: Tensor): ActiveRows {
  const [positions = 0, d = 0] = shape;
  return {
    shape: [positions, d],
    rowStart: Uint32Array.from({ length: positions + 1 }, (_, t) => t * d),
    indices: Uint32Array.from({ length: positions * d }, (_, i) => i % d),
    values: data,
  };
}

/** What is not 0 of [T, d] as rows: the features of an autoencoder. */
export function activeRows({ data, shape }: Tensor): ActiveRows {
  const [positions = 0, d = 0] = shape;
  const rowStart = new Uint32Array(positions + 1);
  const indices: number[] = [];
  const values: number[] = [];
  for (let i = 0; i < data.length; i++) {
    if (data[i] !== 0) {
      indices.push(i % d);
      values.push(data[i]!);
    }
    if ((i + 1) % d === 0) rowStart[(i + 1) / d] = indices.length;
  }
  return { shape: [positions, d], rowStart, indices: Uint32Array.from(indices), values: Float32Array.from(values) };
}
