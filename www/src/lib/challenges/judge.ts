/** Scores an answer by running it: the same here, in the script that makes the challenges, and wherever a link is opened. */
import type { TopKLM } from 'topk-lm';
import { valuesOf } from '../activity';
import { countWords, surprise } from '../compare';
import { likeliest } from '../distribution';
import { engineEdit, type FullEdit, parseEdits } from '../edits';
import { plural, share } from '../format';
import { whyNoNeuron } from '../model-kind';
import { parseNeuron } from '../route';
import type { Challenge, Find, Say, Silence, Turn } from './file';

/** New tokens of a text. */
export const NEW_TOKENS = 20;

export interface Verdict {
  solved: boolean;
  /** What was measured: sentences. */
  facts: string[];
  /** Smaller is better among answers that solve it; `null`: there is no such number. */
  score: number | null;
}

const wrong = (fact: string): Verdict => ({ solved: false, facts: [fact], score: null });

/** @param answer - as the address holds it */
export async function judge(model: TopKLM, challenge: Challenge, answer: string, signal: AbortSignal): Promise<Verdict> {
  if (challenge.kind === 'guess') {
    const solved = answer === challenge.solution;
    return { solved, facts: [solved ? `It is neuron ${answer}.` : `Not neuron ${answer}.`], score: null };
  }
  if (challenge.kind === 'find') return judgeFind(model, challenge, answer, signal);
  const edits = parseEdits(answer);
  const [edit] = edits;
  if (!edit || edits.length !== 1) return wrong('The answer must be one neuron.');
  const absent = whyNoNeuron(model.config, edit);
  if (absent) return wrong(absent);
  const action = challenge.kind === 'silence' ? 'ablate' : 'clamp';
  if (edit.action !== action) return wrong(`The neuron must be ${action === 'ablate' ? 'switched off' : 'set to a value'}.`);
  const ids = [...(await model.tokenizer.encode(challenge.prompt))];
  if (challenge.kind === 'say') return judgeSay(model, challenge, ids, edit, signal);
  return judgeNext(model, challenge, ids, edit, signal);
}

async function judgeSay(model: TopKLM, { words, bound }: Say, ids: number[], edit: FullEdit, signal: AbortSignal): Promise<Verdict> {
  const prompted = { promptLength: ids.length, context: model.config.n_ctx };
  const write = async (edits: FullEdit[]) => {
    const all = [...ids];
    const how = { temperature: 0, maxTokens: NEW_TOKENS, edits: edits.map((each) => engineEdit(each, prompted)), signal };
    for await (const { id } of model.generate(ids, how)) all.push(id);
    return { text: await model.tokenizer.decode(all.slice(ids.length)), nats: (await surprise(model, all, ids.length, signal)) ?? 0 };
  };
  const [base, steered] = [await write([]), await write([edit])];
  const ratio = steered.nats / Math.max(base.nats, 1e-6);
  const { found } = countWords(steered.text, words);
  return {
    solved: found > 0 && ratio <= bound,
    facts: [
      `It writes: “…${steered.text.trim()}”`,
      `On its own it writes: “…${base.text.trim()}”`,
      `${found === 0 ? 'It has none of the words' : `The words appear ${found === 1 ? 'once' : `${found} times`}`}; it is ${ratio.toFixed(2)} times as surprising to the model (${bound} at most).`,
    ],
    score: found > 0 ? ratio : null,
  };
}

async function judgeNext(model: TopKLM, asked: Turn | Silence, ids: number[], edit: FullEdit, signal: AbortSignal): Promise<Verdict> {
  const { token } = asked;
  const [id] = await idsOf(model, token);
  const [over] = asked.kind === 'turn' ? await idsOf(model, asked.over) : [];
  if (id === undefined) return wrong(`“${token}” is not a token of this model.`);
  const edits = [engineEdit(edit, { promptLength: ids.length, context: model.config.n_ctx })];
  const odds = async (set: typeof edits) => {
    const { logits } = await model.run(ids, { edits: set, logits: 'last', signal });
    const p = (of: number) => Math.exp(likeliest(logits!.data, 0, of).wanted ?? Number.NEGATIVE_INFINITY);
    return [p(id), over === undefined ? 0 : p(over)] as const;
  };
  const [before, after] = [await odds([]), await odds(edits)];
  const said = (name: string, at: 0 | 1) => `“${name.trim()}” goes from ${share(before[at])} to ${share(after[at])}.`;
  if (asked.kind === 'turn') {
    const facts = [said(token, 0), said(asked.over, 1)];
    return { solved: after[0] > after[1], facts, score: after[1] / Math.max(after[0], 1e-12) };
  }
  return { solved: after[0] <= before[0] / 2, facts: [said(token, 0)], score: after[0] / before[0] };
}

/** The ids of a text that is one token. */
export async function idsOf(model: TopKLM, token: string): Promise<number[]> {
  const special = model.config.bos_token_id;
  const ids = [...(await model.tokenizer.encode(token))].filter((id) => id !== special);
  return ids.length === 1 ? ids : [];
}

async function judgeFind(model: TopKLM, { text, marked, least }: Find, answer: string, signal: AbortSignal): Promise<Verdict> {
  const neuron = parseNeuron(answer);
  if (!neuron) return wrong('The answer must be a neuron: a layer and an index, such as 1.406.');
  const absent = whyNoNeuron(model.config, neuron);
  if (absent) return wrong(absent);
  const hook = `blocks.${neuron.layer}.hook_topk_out` as const;
  const { hooks } = await model.run(text, { hooks: [hook], logits: 'none', signal });
  const { f1, hits, high } = bestF1(valuesOf(hooks[hook]!, neuron.index), marked);
  return {
    solved: f1 >= least,
    facts: [
      `At its best threshold it is high at ${hits} of ${marked.length} marked tokens, and at ${plural(high - hits, 'other')}: F1 ${f1.toFixed(2)}.`,
    ],
    score: 1 - f1,
  };
}

/** F1 of “the value is at least a threshold above 0” as a sign of the marked positions, at the best threshold; the first position does not count. */
export function bestF1(values: ArrayLike<number>, marked: readonly number[]): { f1: number; hits: number; high: number } {
  const order = Array.from(values, (value, at) => ({ value, at }))
    .filter(({ value, at }) => at > 0 && value > 0)
    .sort((a, b) => b.value - a.value);
  let best = { f1: 0, hits: 0, high: 0 };
  let hits = 0;
  order.forEach(({ value, at }, i) => {
    if (marked.includes(at)) hits++;
    if (order[i + 1]?.value === value) return;
    const f1 = (2 * hits) / (i + 1 + marked.length);
    if (f1 > best.f1) best = { f1, hits, high: i + 1 };
  });
  return best;
}
