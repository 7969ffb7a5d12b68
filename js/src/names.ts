/** Refuses what a call does not know: an option that is ignored in silence falsifies what its caller measures. */

/** Names that other libraries give to an option, by what it is called here. */
export type Aliases = Readonly<Record<string, readonly string[]>>;

const plain = (name: string) => name.toLowerCase().replaceAll(/[_-]/g, '');

/** The known name that was most likely meant, if one is near. */
function nearest(name: string, known: readonly string[], aliases: Aliases): string | undefined {
  const elsewhere = known.find((candidate) => aliases[candidate]?.some((other) => plain(other) === plain(name)));
  if (elsewhere !== undefined) return elsewhere;
  const [best] = known.map((candidate) => [distance(plain(name), plain(candidate)), candidate] as const).sort(([a], [b]) => a - b);
  return best && best[0] <= Math.ceil(best[1].length / 3) ? best[1] : undefined;
}

/** Letters to insert, delete or replace. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let at = 0; at < a.length; at++) {
    const next = [at + 1];
    for (let to = 0; to < b.length; to++) {
      const [above = 0, left = 0, corner = 0] = [row[to + 1], next[to], row[to]];
      next.push(Math.min(above + 1, left + 1, corner + (a[at] === b[to] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length] as number;
}

/** What is wrong with the names in `given`, if anything. A name whose value is `undefined` is as if left out. */
export function unknownName(given: object, known: readonly string[], what: string, aliases: Aliases): string | undefined {
  const name = Object.keys(given).find((key) => !known.includes(key) && (given as Record<string, unknown>)[key] !== undefined);
  if (name === undefined) return undefined;
  const meant = nearest(name.slice(0, 40), known, aliases);
  const instead = meant === undefined ? `there are ${known.join(', ')}.` : `did you mean ${meant}?`;
  return `${JSON.stringify(name.slice(0, 40))} is no ${what}; ${instead}`;
}
