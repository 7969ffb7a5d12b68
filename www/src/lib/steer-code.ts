/** The run of the Steer page as code, in JavaScript and for the command line. */
import { commandEdit, engineEdit, type FullEdit, type Prompted } from './edits';
import { type CodeModel, commandLine, loadingCode } from './model-code';

export interface SteerRun extends CodeModel {
  /** Ids for a model without a tokenizer, and where the text is longer than what the model was given. */
  prompt: string | readonly number[];
  seed: number;
  temperature: number;
  maxTokens: number;
  edits: readonly FullEdit[];
  prompted: Prompted;
}

export function asJavaScript({ prompt, seed, temperature, maxTokens, edits, prompted, ...model }: SteerRun): string {
  const list = edits.map((edit) => `  ${JSON.stringify(engineEdit(edit, prompted))},\n`).join('');
  return `${loadingCode(model)}const edits = [\n${list}];
let text = '';
for await (const step of model.generate(${JSON.stringify(prompt)}, { maxTokens: ${maxTokens}, temperature: ${temperature}, seed: ${seed}, edits })) {
  text += step.text;
}
console.log(text);
await model.dispose();
`;
}

export function asCommand({ prompt, seed, temperature, maxTokens, edits, prompted, ...model }: SteerRun): string {
  const words = [
    ...(typeof prompt === 'string' ? ['--prompt', prompt] : ['--ids', prompt.join(',')]),
    '--max-tokens',
    maxTokens,
    '--temperature',
    temperature,
    '--seed',
    seed,
  ];
  for (const edit of edits) words.push('--edit', commandEdit(edit, prompted));
  return commandLine(model, 'generate', words);
}
