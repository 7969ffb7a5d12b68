/** The model of a page, as code that is exported names it. */
import { folderName, type ModelEntry } from './models';

export interface CodeModel {
  /** What `TopKLM.load` takes: the URL of the folder. Of files that the reader picked nobody knows the place: their folder's name. */
  url: string;
  /** Name of the model folder. */
  folder: string;
  /** Training step; `null`: the final weights. */
  step: number | null;
  /** Whether the reader picked the files. */
  isPicked: boolean;
}

export function codeModel(entry: ModelEntry | null, step: number | null): CodeModel {
  const folder = entry ? folderName(entry.name) : '';
  const isPicked = entry?.files !== undefined;
  return { url: isPicked ? `./${folder}/` : (entry?.url.href ?? ''), folder, step, isPicked };
}

/** JavaScript that loads it as `model`. */
export const loadingCode = ({ url, step, isPicked }: CodeModel): string => `import { TopKLM } from 'topk-lm';

${isPicked ? '// The folder that was chosen on the site: say where it is.\n' : ''}const model = await TopKLM.load(${JSON.stringify(url)});
${step === null ? '' : `await model.loadCheckpoint(${step});\n`}`;

/** A word for a POSIX shell. */
export const shellWord = (word: string): string => (/^[\w./:=,-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`);

/** A command of `topk-lm` on it. The folder of a training step may hold weights alone: what it lacks of the other files is put beside them first. */
export function commandLine({ folder, step }: CodeModel, command: string, words: readonly (string | number)[]): string {
  const own = shellWord(folder);
  const model = step === null ? own : shellWord(`${folder}/step${step}`);
  // `cp -n` is not of POSIX, and some of its versions fail where they leave a file out.
  const whole =
    step === null
      ? ''
      : `for file in ${own}/*config.json ${own}/tokenizer.json; do
  [ ! -e "$file" ] || [ -e ${model}/"\${file##*/}" ] || cp "$file" ${model}/
done
`;
  return `${whole}topk-lm ${command} --model ${model} ${words.map((word) => shellWord(String(word))).join(' ')}`;
}
