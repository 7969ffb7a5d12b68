/** The shipped models beside ones that were trained four times as long. */
import { type FactGroup, listAt, NOT_MEASURED, type Tree, textAt, UNITS } from './figures';

const isUnit = (unit: string): unit is keyof typeof UNITS => unit in UNITS;

function cellOf(unit: string, value: unknown): string {
  return isUnit(unit) && typeof value === 'number' && Number.isFinite(value) ? UNITS[unit](value) : NOT_MEASURED;
}

export function longer(tree: unknown): FactGroup {
  const columns = listAt(tree, 'columns').map(String);
  const facts = listAt(tree, 'rows').map((row) => ({
    name: textAt(row, 'name'),
    definition: textAt(row, 'definition'),
    cells: columns.map((_, n) => cellOf(textAt(row, 'unit'), listAt(row, 'values')[n])),
  }));
  return {
    title: 'What does longer training do?',
    columns,
    facts,
    note: 'The models trained longer write better stories, and more of their neurons turn a contrast strongly. But a few tokens say less about what a neuron reads, and a topic takes more neurons than it takes features of an autoencoder. So this site shows the smaller models. The two pairs also differ in shape and in the mixture of texts.',
  };
}

/** The sentence among the main findings; [] where figures are missing. */
export function longerOf(tree: unknown): string[] {
  const rows = new Map(listAt(tree, 'rows').map((row) => [textAt(row, 'name'), row as Tree]));
  const pair = (name: string) => {
    const row = rows.get(name);
    return row ? listAt(row, 'values').map((value) => cellOf(textAt(row, 'unit'), value)) : [NOT_MEASURED];
  };
  const found = ['validation text', 'which object', '… three times as far', "F1 of a neuron's label", '… by up to 8 neurons'].map(pair);
  if (found.flat().includes(NOT_MEASURED)) return [];
  const [bits, objects, switches, f1, topics] = found.map((values) => values.join(' → '));
  return [
    `Trained four times as long, a larger model gets better at text (bits per byte ${bits}; which object a story means, ${objects} right) and at switches (${switches}), but its neurons get less legible (F1 ${f1}) and bring up fewer topics (eight of them, ${topics}).`,
  ];
}
