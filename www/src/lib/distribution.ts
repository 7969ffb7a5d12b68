/** Probabilities from logits. */

export interface Likely {
  id: number;
  /** ln p */
  logprob: number;
}

/** The likeliest tokens of one row of logits, likeliest first, at a tie the lower id; and the log-probability of `wanted`. */
export function likeliest(logits: Float32Array, most: number, wanted?: number): { top: Likely[]; wanted: number | null } {
  let largest = Number.NEGATIVE_INFINITY;
  for (const logit of logits) largest = Math.max(largest, logit);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  const logTotal = largest + Math.log(sum);
  const top: number[] = [];
  for (let id = 0; id < logits.length; id++) {
    if (top.length === most && logits[id]! <= logits[top.at(-1)!]!) continue;
    let place = top.length;
    while (place > 0 && logits[top[place - 1]!]! < logits[id]!) place--;
    top.splice(place, 0, id);
    if (top.length > most) top.pop();
  }
  const logprob = (id: number) => logits[id]! - logTotal;
  return {
    top: top.map((id) => ({ id, logprob: logprob(id) })),
    wanted: wanted === undefined || wanted >= logits.length ? null : logprob(wanted),
  };
}
