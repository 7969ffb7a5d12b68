// What TopK is measured on.

/** [rows, n, k] */
export const SHAPES = [
  [1, 1024, 32],
  [1, 4096, 64],
  [128, 1024, 32],
  [128, 1024, 128],
  [128, 4096, 64],
  [512, 2048, 32],
  [1, 32000, 40],
  [1, 128000, 50],
];

/** From which of these on topk() answers before a search in JavaScript: rows and k, and widths. */
export const CROSSOVERS = {
  lists: [1, 16, 128].flatMap((rows) => [8, 64, 512].map((k) => [rows, k])),
  widths: [1024, 4096, 16384, 65536],
};

/** The same numbers on every device: a linear congruential generator. */
export function numbers(count) {
  const values = new Float32Array(count);
  let state = 12345;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    values[i] = (state >>> 8) / 2 ** 23 - 1;
  }
  return values;
}

/** The k first of each row by sorting whole rows, in plain JavaScript: what the results are checked against, and a peer. */
export function bySorting(values, rows, n, k) {
  const result = new Uint32Array(rows * k);
  for (let row = 0; row < rows; row++) {
    const part = values.subarray(row * n, (row + 1) * n);
    const order = Uint32Array.from(part.keys()).sort((a, b) => part[b] - part[a] || a - b);
    result.set(order.subarray(0, k), row * k);
  }
  return result;
}

/**
 * The same result by searching: one pass over a row with a heap of the k best so far, its worst on top, sorted at the end. What a page
 * without WebGPU would write.
 */
export function bySearching(values, rows, n, k) {
  const result = new Uint32Array(rows * k);
  for (let row = 0; row < rows; row++) {
    const part = values.subarray(row * n, (row + 1) * n);
    const heap = result.subarray(row * k, (row + 1) * k);
    // Equal values rank by index.
    const isWorse = (a, b) => part[a] < part[b] || (part[a] === part[b] && a > b);
    const sink = (index, from) => {
      let at = from;
      for (;;) {
        let child = 2 * at + 1;
        if (child >= k) break;
        if (child + 1 < k && isWorse(heap[child + 1], heap[child])) child++;
        if (!isWorse(heap[child], index)) break;
        heap[at] = heap[child];
        at = child;
      }
      heap[at] = index;
    };
    for (let i = 0; i < k; i++) heap[i] = i;
    for (let at = (k >> 1) - 1; at >= 0; at--) sink(heap[at], at);
    let least = part[heap[0]];
    for (let i = k; i < n; i++) {
      if (part[i] <= least) continue; // an equal one comes later
      sink(i, 0);
      least = part[heap[0]];
    }
    heap.sort((a, b) => part[b] - part[a] || a - b);
  }
  return result;
}
