/** The run of the Steer page as code, in JavaScript and for the command line. */
import { commandEdit, engineEdit, type FullEdit, type Prompted } from './edits';

export interface SteerRun {
  /** URL of the model folder. */
  url: string;
  /** Name of the model folder. */
  folder: string;
  /** Training step; `null`: the final weights. */
  step: number | null;
  /** Ids for a model without a tokenizer. */
  prompt: string | readonly number[];
  seed: number;
  temperature: number;
  maxTokens: number;
  edits: readonly FullEdit[];
  prompted: Prompted;
}

export function asJavaScript({ url, step, prompt, seed, temperature, maxTokens, edits, prompted }: SteerRun): string {
  const list = edits.map((edit) => `  ${JSON.stringify(engineEdit(edit, prompted))},\n`).join('');
  return `import { TopKLM } from 'topk-lm';

const model = await TopKLM.load(${JSON.stringify(url)});
${step === null ? '' : `await model.loadCheckpoint(${step});\n`}const edits = [\n${list}];
let text = '';
for await (const step of model.generate(${JSON.stringify(prompt)}, { maxTokens: ${maxTokens}, temperature: ${temperature}, seed: ${seed}, edits })) {
  text += step.text;
}
console.log(text);
await model.dispose();
`;
}

/** A word for a POSIX shell. */
export const shellWord = (word: string): string => (/^[\w./:=,-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`);

export function asCommand({ folder, step, prompt, seed, temperature, maxTokens, edits, prompted }: SteerRun): string {
  const model = step === null ? folder : `${folder}/step${step}`;
  const words = [
    'topk-lm',
    'generate',
    '--model',
    model,
    ...(typeof prompt === 'string' ? ['--prompt', prompt] : ['--ids', prompt.join(',')]),
    '--max-tokens',
    maxTokens,
    '--temperature',
    temperature,
    '--seed',
    seed,
  ];
  for (const edit of edits) words.push('--edit', commandEdit(edit, prompted));
  return words.map((word) => shellWord(String(word))).join(' ');
}
