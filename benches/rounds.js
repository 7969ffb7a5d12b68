// Several things measured beside each other: in each round everyone has a turn, and another one begins, so that what slows the machine for a
// while, or heats it, falls on all of them alike. Used by pages and by Node.

/** Median, p10 and p90 of samples in milliseconds. */
export function spread(samples) {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share) => {
    const place = share * (sorted.length - 1);
    const low = Math.floor(place);
    return sorted[low] + (place - low) * (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]);
  };
  return { median: at(0.5), p10: at(0.1), p90: at(0.9), runs: sorted.length };
}

/** The members in the order of a round. */
export const rotated = (members, round) => members.map((_, at) => members[(at + round) % members.length]);

/**
 * @param {T[]} members
 * @param {{rounds: number, warmUp?: number}} counts
 * @param {(member: T, round: number) => Promise<Record<string, number>>} turn measures one member: milliseconds by name
 * @returns {Promise<Map<T, Record<string, ReturnType<typeof spread>>>>}
 * @template T
 */
export async function inTurn(members, { rounds, warmUp = 1 }, turn) {
  const samples = new Map(members.map((member) => [member, {}]));
  for (let round = 0; round < warmUp + rounds; round++) {
    for (const member of rotated(members, round)) {
      const times = await turn(member, round);
      if (round < warmUp) continue;
      const own = samples.get(member);
      for (const [name, ms] of Object.entries(times)) own[name] = [...(own[name] ?? []), ms];
    }
  }
  const spreads = (own) => Object.fromEntries(Object.entries(own).map(([name, times]) => [name, spread(times)]));
  return new Map([...samples].map(([member, own]) => [member, spreads(own)]));
}

/** Milliseconds that `work` takes. */
export async function clocked(work) {
  const began = performance.now();
  await work();
  return performance.now() - began;
}
