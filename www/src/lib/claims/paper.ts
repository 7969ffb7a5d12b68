/** The paper's qualitative claims, one by one. */
import { type FactGroup, listAt, textAt } from './figures';

export function paper(tree: unknown): FactGroup {
  const facts = listAt(tree, 'claims').map((of) => ({
    name: textAt(of, 'claim'),
    definition: `From claims.${textAt(of, 'rests_on').replaceAll(', ', ' and claims.')}.`,
    cells: [textAt(of, 'verdict'), textAt(of, 'figure')],
  }));
  return {
    title: 'The paper’s claims, one by one',
    columns: ['here', 'figures'],
    facts,
    note: 'The claims of the paper’s abstract in our words. The verdicts are ours: small models that read stories, and measures that are not the paper’s.',
    isText: true,
  };
}
