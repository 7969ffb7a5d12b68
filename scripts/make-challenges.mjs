// node scripts/make-challenges.mjs FOLDER…: makes FOLDER/challenges.json, the challenges of the site. Each of the tasks below is searched for an
// answer with the model and its statistics; those that have one are kept, with it. Run `npm run build` first.
import fs from 'node:fs';
import path from 'node:path';
import { inRoot, paths } from './lib/paths.mjs';
import { Failure, main } from './lib/run.mjs';
import { siteModule } from './lib/site-module.mjs';
import { writeWhole } from './lib/write.mjs';

const SAY = [
  {
    title: 'Build a house',
    prompt: 'One day, a little girl named Lily went to the',
    words: ['house', 'houses', 'door', 'window', 'roof', 'room'],
  },
  { title: 'Get dressed', prompt: 'The old man had a', words: ['dress', 'hat', 'shirt', 'coat', 'clothes', 'shoes'] },
  { title: 'Into the water', prompt: 'Tom and his friend ran to the', words: ['water', 'river', 'lake', 'sea', 'pond', 'swim', 'fish'] },
  { title: 'Dinner time', prompt: 'The boy was very', words: ['food', 'eat', 'cake', 'dinner', 'lunch', 'hungry', 'apple', 'cookie'] },
  { title: 'A song', prompt: 'One sunny morning Anna wanted to', words: ['sing', 'song', 'music', 'dance', 'piano'] },
];
/** Most that a text may surprise the model, as a multiple. */
const BOUND = 1.5;
const TURN = [
  { title: 'One dog, many dogs', prompt: 'The dog in the forest', token: ' were', over: ' was' },
  { title: 'Many animals, one animal', prompt: 'The animals', token: ' was', over: ' were' },
  { title: 'She, not he', prompt: 'The boy was tired, so', token: ' she', over: ' he' },
  { title: 'A sad end', prompt: 'When the sun came up, the girl was very', token: ' sad', over: ' happy' },
];
const SILENCE = [
  { title: 'Silence the crowd', prompt: 'The animals', token: ' were' },
  { title: 'Stop the dog', prompt: 'Tom had a pet. It was a big brown', token: ' dog' },
  { title: 'No happy end', prompt: 'They played all day and were very', token: ' happy' },
];
const FIND = [
  {
    title: 'The animals',
    text: 'The dog and the cat saw a bird in the tree. The fish and the frog swam away, and the bear ran home.',
    words: ['dog', 'cat', 'bird', 'fish', 'frog', 'bear'],
  },
  {
    title: 'The names',
    text: 'Tom met Lily in the park. Then Ben and Anna came, and Sam gave Lily a red ball.',
    words: ['Tom', 'Lily', 'Ben', 'Anna', 'Sam'],
  },
  {
    title: 'The colors',
    text: 'She had a red hat, a blue dress and a green bag. The sky was white and the yellow sun was big.',
    words: ['red', 'blue', 'green', 'white', 'yellow'],
  },
];
const LEAST = 0.75;
/** Neurons that a search on the site lists (parts/steer/NeuronSearch.svelte): the hint's leads to the answer. */
const LISTED = 12;
/** Guesses: the neurons with the lowest entropies whose label is a word of their own. */
const GUESSES = 2;
const OPTIONS = 4;

await main(async () => {
  const folders = process.argv.slice(2);
  const unknown = folders.find((folder) => !fs.existsSync(path.join(folder, 'features/index.json')));
  if (folders.length === 0 || unknown !== undefined)
    throw new Failure('Usage: node scripts/make-challenges.mjs FOLDER…, each the folder of a TopK model with features/.');
  for (const folder of folders) await make(path.resolve(folder));
});

async function make(folder) {
  const { TopKLM } = await import(new URL('index.js', `file://${paths.npmPackage}/`).href);
  const model = await TopKLM.load(folder, { backend: 'cpu' });
  try {
    const on = {
      model,
      index: await model.features.index(),
      ...(await siteModule('challenges/judge.ts')),
      ...(await siteModule('edits.ts')),
      ...(await siteModule('model-kind.ts')),
      ...(await siteModule('strength.ts')),
      ...(await siteModule('neuron-search.ts')),
    };
    on.measured = await (await siteModule('measured.ts')).readMeasured(model.features);
    on.vocabulary = await model.tokenizer.tokens(Array.from({ length: model.config.d_vocab }, (_, id) => id));
    const made = [];
    const keep = (challenge, answer) => {
      console.log(
        `${answer === null ? 'left out' : 'kept    '} ${challenge.kind} “${challenge.title}” ${Object.values(answer ?? {}).join(' ')}`,
      );
      if (answer !== null) made.push({ id: `${challenge.kind}${made.length + 1}`, ...challenge, ...answer });
    };
    for (const task of TURN) keep({ kind: 'turn', ...task }, await turned(on, { kind: 'turn', ...task }));
    for (const task of SAY) keep({ kind: 'say', bound: BOUND, ...task }, await said(on, { kind: 'say', bound: BOUND, ...task }));
    for (const task of SILENCE) keep({ kind: 'silence', ...task }, await silenced(on, { kind: 'silence', ...task }));
    for (const { words, ...task } of FIND) {
      const found = await sought(on, task.text, words);
      keep({ kind: 'find', least: LEAST, ...task, marked: found.marked }, found.answer);
    }
    for (const { title, options, solution } of guesses(on)) keep({ kind: 'guess', title, options }, { solution });
    const file = path.join(folder, 'challenges.json');
    writeWhole(file, `${JSON.stringify({ format: 1, challenges: made })}\n`);
    console.log(`${path.relative(inRoot(), file)}: ${made.length} challenges, ${fs.statSync(file).size} bytes`);
  } finally {
    await model.dispose();
  }
}

/** The edit with which a neuron is set first. */
function firstEdit({ index, strengthOf, positionsFor, newEdit, rounded }, neuron, times = 1) {
  const strength = strengthOf(index, neuron);
  if (strength === null) return null;
  return { ...newEdit(neuron, strength.value, positionsFor(strength)), value: rounded(times * strength.value) };
}

/** The first edit that solves it, and a search that lists its neuron. */
async function firstOf(on, challenge, edits, words) {
  for (const edit of edits) {
    const search = searchFor(on, edit, words);
    if (search === null) continue;
    const solution = on.formatEdits([edit]);
    if ((await on.judge(on.model, challenge, solution, new AbortController().signal)).solved) return { search, solution };
  }
  return null;
}

/** One of the words, or else one of the neuron's own, by which a reader finds it. */
function searchFor({ index, vocabulary, measured, findNeurons }, { layer, index: at }, words) {
  const entry = index.layers.indexOf(layer) * index.dModel + at;
  const { topTokens, promoted, writesUp } = index.columns;
  const own = [topTokens, writesUp, promoted].flatMap((column) => column?.[entry] ?? []).map((id) => (vocabulary[id] ?? '').trim());
  const isIt = (found) => found.layer === layer && found.index === at;
  const asked = [...words, ...own.filter((word) => /^\p{L}{3,}$/u.test(word))];
  return asked.find((word) => findNeurons(index, vocabulary, word, LISTED, measured).some(isIt)) ?? null;
}

/** Neurons that the site lists for one of the words, at the strength that they are set to first, then at parts of it. */
function candidates(on, words) {
  const found = words.flatMap((word) => on.findNeurons(on.index, on.vocabulary, word, LISTED, on.measured));
  const neurons = [...new Map(found.map((neuron) => [`${neuron.layer}.${neuron.index}`, neuron])).values()];
  return [1, 0.85, 0.7, 0.5].flatMap((times) => neurons.map((neuron) => firstEdit(on, neuron, times)).filter(Boolean));
}

function said(on, challenge) {
  const words = challenge.words.slice(0, 4);
  return firstOf(on, challenge, candidates(on, words), words);
}

function turned(on, challenge) {
  const words = [challenge.token.trim()];
  return firstOf(on, challenge, candidates(on, words), words);
}

/** The neurons whose ablation lowers the token's logit most. */
async function silenced(on, challenge) {
  const [id] = await on.idsOf(on.model, challenge.token);
  if (id === undefined) return null;
  const { layers, indices, effects } = await on.model.ablate(challenge.prompt, id);
  const order = Array.from(effects.keys()).sort((a, b) => effects[b] - effects[a]);
  const edits = order
    .slice(0, 12)
    .map((i) => ({ ...on.newEdit({ layer: layers[i], index: indices[i] }, 1), action: 'ablate', site: 'topk_out' }));
  return firstOf(on, challenge, edits, [challenge.token.trim()]);
}

/** The neuron whose values tell best where the words are, of those that a search for one of them lists, or else of all. */
async function sought(on, text, words) {
  const { model, bestF1, topkLayers } = on;
  const { d_model } = model.config;
  const layers = topkLayers(model.config);
  const { tokens, hooks } = await model.run(text, { hooks: layers.map((layer) => `blocks.${layer}.hook_topk_out`), logits: 'none' });
  const marked = tokens.flatMap((token, at) => (at > 0 && words.includes(token.trim()) ? [at] : []));
  const good = [];
  for (const layer of layers) {
    const { rowStart, indices, values } = hooks[`blocks.${layer}.hook_topk_out`];
    const all = Array.from({ length: d_model }, () => new Float32Array(tokens.length));
    for (let at = 0; at < tokens.length; at++) for (let i = rowStart[at]; i < rowStart[at + 1]; i++) all[indices[i]][at] = values[i];
    all.forEach((own, index) => {
      const { f1 } = bestF1(own, marked);
      if (f1 >= LEAST) good.push({ layer, index, f1 });
    });
  }
  good.sort((a, b) => b.f1 - a.f1);
  const answers = good.map((neuron) => ({ search: searchFor(on, neuron, words), solution: `${neuron.layer}.${neuron.index}` }));
  const answer = answers.find(({ search }) => words.includes(search)) ?? answers.find(({ search }) => search !== null) ?? null;
  return { marked, answer };
}

/** Neurons of low token entropy with a word of their own, each among others of its layer. */
function guesses({ index, vocabulary }) {
  const { layers, dModel, columns, entropy } = index;
  const seen = new Set();
  const entries = [...columns.label.keys()]
    .filter((entry) => columns.n[entry] >= entropy.rareBelow && columns.tokenEntropy[entry] > 0.3 && columns.tokenEntropy[entry] < 2.2)
    .filter((entry) => /^ \p{L}{4,}$/u.test(vocabulary[columns.topTokens[entry]?.[0]] ?? ''))
    .sort((a, b) => columns.tokenEntropy[a] - columns.tokenEntropy[b])
    .filter((entry) => {
      const word = vocabulary[columns.topTokens[entry][0]].toLowerCase();
      return seen.has(word) ? false : seen.add(word);
    });
  const nameOf = (entry) => `${layers[Math.floor(entry / dModel)]}.${entry % dModel}`;
  return Array.from({ length: Math.min(GUESSES, Math.floor(entries.length / OPTIONS)) }, (_, round) => {
    const mine = entries.slice(round * OPTIONS, (round + 1) * OPTIONS);
    return { title: `Six snippets, ${round + 1}`, options: mine.map(nameOf).sort(), solution: nameOf(mine[(round + 1) % OPTIONS]) };
  });
}
