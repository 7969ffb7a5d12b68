/** The measured facts of our models: `models/claims.json`, which the build makes of `training/claims/results/`. */

/** Stands where a figure is missing. */
export const NOT_MEASURED = '–';

export interface Fact {
  name: string;
  /** What it is, with its unit. */
  definition: string;
  topk: string;
  dense: string;
}

export interface FactGroup {
  title: string;
  facts: Fact[];
}

type Tree = { [name: string]: unknown };

/** `null`: the site was built without any. */
export async function readClaims(signal: AbortSignal): Promise<FactGroup[] | null> {
  const response = await fetch(new URL('models/claims.json', document.baseURI), { signal });
  if (!response.ok) return null;
  return groupsOf((await response.json()) as Tree);
}

const at = (tree: unknown, path: string): unknown =>
  path.split('.').reduce<unknown>((part, name) => (part as Tree | undefined)?.[name], tree);

function figure(tree: unknown, path: string, kind: 'number' | 'percent'): string | null {
  const value = at(tree, path);
  if (typeof value !== 'number' || !Number.isFinite(value)) return null;
  return kind === 'percent' ? `${(100 * value).toFixed(0)} %` : String(Number(value.toPrecision(4)));
}

const QUALITY = [
  ['held_out.nats_per_token', 'Loss on held-out stories', 'Nats a token on the held-out text.', 'number'],
  ['held_out.bits_per_byte', 'The same in bits a byte', 'Comparable between tokenizers.', 'number'],
  ['validation.nats_per_token', 'Loss on validation stories', 'Nats a token on the validation text.', 'number'],
  ['8bit_minus_f32.held_out_bits_per_byte', 'What 8-bit weights cost', 'Bits a byte on held-out text, 8-bit minus f32.', 'number'],
  ['stories.name_recurs', 'The name comes again', 'Share of written stories in which the name of the prompt recurs.', 'percent'],
  ['stories.no_8gram_thrice', 'No repeating', 'Share of written stories in which no eight tokens in a row come three times.', 'percent'],
] as const;

const STEERING = [
  [
    'score.works',
    'Concepts steered',
    'Share of the concepts that one neuron raises fivefold in half of the texts, at no more than 1.3 times the surprise.',
    'percent',
  ],
  ['score.works_relaxed', 'Raised threefold', 'The same with a threefold rise.', 'percent'],
  ['score.works_without_likelihood', 'At any surprise', 'The fivefold rise without the bound on how unlikely the text becomes.', 'percent'],
] as const;

type Row = readonly [path: string, name: string, definition: string, kind: 'number' | 'percent'];

function table(tree: unknown, rows: readonly Row[]): Fact[] {
  return rows.flatMap(([path, name, definition, kind]) => {
    const [topk, dense] = [figure(at(tree, 'topk'), path, kind), figure(at(tree, 'dense'), path, kind)];
    return topk === null && dense === null ? [] : [{ name, definition, topk: topk ?? NOT_MEASURED, dense: dense ?? NOT_MEASURED }];
  });
}

/** Numbers that both models have, by their path: for results that this page has no words for. */
function shared(tree: unknown): Fact[] {
  const [topk, dense] = [at(tree, 'topk'), at(tree, 'dense')];
  const facts: Fact[] = [];
  const walk = (a: unknown, b: unknown, path: string[]) => {
    if (typeof a === 'number' && typeof b === 'number') {
      const name = path.join(', ').replaceAll('_', ' ');
      facts.push({ name, definition: name, topk: String(Number(a.toPrecision(4))), dense: String(Number(b.toPrecision(4))) });
    } else if (a && b && typeof a === 'object' && typeof b === 'object' && path.length < 3 && !Array.isArray(a)) {
      for (const [name, part] of Object.entries(a)) if (name !== 'model') walk(part, (b as Tree)[name], [...path, name]);
    }
  };
  walk(topk, dense, []);
  return facts.slice(0, 24);
}

export function groupsOf(claims: Tree): FactGroup[] {
  const groups = Object.entries(claims).map(([name, tree]) => {
    if (name === 'quality') return { title: 'How well they write', facts: table(tree, QUALITY) };
    if (name === 'steering') return { title: 'Steering with one neuron', facts: table(tree, STEERING) };
    return { title: name.replaceAll('_', ' ').replace(/^./, (first) => first.toUpperCase()), facts: shared(tree) };
  });
  return groups.filter(({ facts }) => facts.length > 0);
}
