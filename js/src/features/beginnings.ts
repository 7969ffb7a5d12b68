/** Labels name tokens as they are; a token that begins a longer word is marked here (`kn…`), as `topk-lm analyze` marks pieces inside of words. */
import type { FeatureIndex, NeuronRecord } from './types.js';

type Mark = <Label extends string | null | undefined>(label: Label) => Label;

/** A token between a label's own signs, or at its ends. What a `:` follows says which kind the tokens are of, and is none. */
const TOKEN = /(?<=^|[ “])\p{L}+(?=$|[,”?]| [+·])/gu;

/** Marks the tokens of a label that begin longer words, which `index.json` lists. */
export function marker(beginnings: readonly string[]): Mark {
  const begins = new Set(beginnings);
  return ((label) => label?.replace(TOKEN, (token) => (begins.has(token) ? `${token}…` : token)) ?? label) as Mark;
}

/** The same of the labels of all neurons. */
export function markColumns({ columns, beginnings }: FeatureIndex): void {
  const mark = marker(beginnings);
  columns.label = columns.label.map(mark);
  if (columns.reads) columns.reads = columns.reads.map(mark);
  if (columns.writes) columns.writes = columns.writes.map(mark);
}

/** The same of one neuron's. */
export function markRecord(record: Omit<NeuronRecord, 'steps'>, mark: Mark): Omit<NeuronRecord, 'steps'> {
  const { label, reads, writes } = record;
  const shares = () => reads?.shares.map((share) => ({ ...share, label: mark(share.label) })) ?? [];
  return {
    ...record,
    label: mark(label),
    ...(reads && { reads: { ...reads, label: mark(reads.label), shares: shares() } }),
    ...(writes && { writes: { ...writes, label: mark(writes.label) } }),
  };
}
