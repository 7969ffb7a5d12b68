/** Probabilities from logits. */

export interface Likely {
  id: number;
  /** ln p */
  logprob: number;
}

/** ln of the sum of exp of a row of logits: a logit less this is ln p. */
export function logTotal(logits: Float32Array | readonly number[]): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (const logit of logits) largest = Math.max(largest, logit);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  return largest + Math.log(sum);
}

/** The most likely tokens for a row of logits, ties by id, and the log-probability of `wanted`. */
export function likeliest(logits: Float32Array, most: number, wanted?: number): { top: Likely[]; wanted: number | null } {
  const total = logTotal(logits);
  const top: number[] = [];
  for (let id = 0; id < logits.length; id++) {
    if (top.length === most && logits[id]! <= logits[top.at(-1)!]!) continue;
    let slot = top.length;
    while (slot > 0 && logits[top[slot - 1]!]! < logits[id]!) slot--;
    top.splice(slot, 0, id);
    if (top.length > most) top.pop();
  }
  const logprob = (id: number) => logits[id]! - total;
  return {
    top: top.map((id) => ({ id, logprob: logprob(id) })),
    wanted: wanted === undefined || wanted >= logits.length ? null : logprob(wanted),
  };
}
