// The layout of .wgsl files: no formatter knows our imports, so the few rules that keep diffs clean are checked here.
import fs from 'node:fs';
import path from 'node:path';
import { paths, show } from './paths.mjs';
import { Failure } from './run.mjs';
import { filesUnder } from './steps.mjs';

const MAX_LINES = 220;
const MAX_COLUMNS = 140;

/** What is wrong with one shader's text, as `line N: sentence`. */
export function shaderStyleFaults(text) {
  const lines = text.split('\n');
  const faults = [];
  const fault = (index, sentence) => faults.push(`line ${index + 1}: ${sentence}`);
  if (!lines[0].startsWith('// ')) fault(0, 'begins with no comment on what the shader does');
  if (lines.at(-1) !== '' || lines.at(-2) === '') fault(lines.length - 1, 'does not end in exactly one newline');
  if (lines.length - 1 > MAX_LINES) fault(MAX_LINES, `longer than ${MAX_LINES} lines`);
  let depth = 0; // of braces and brackets
  lines.forEach((line, index) => {
    if (/\t|\r/.test(line)) fault(index, 'a tab or carriage return');
    if (/\s$/.test(line)) fault(index, 'space at the end');
    if (line.length > MAX_COLUMNS) fault(index, `longer than ${MAX_COLUMNS} characters`);
    const code = line.replace(/\/\/.*/, '');
    const indent = line.length - line.trimStart().length;
    const closing = /^[\s]*[})\]]/.test(code) ? 1 : 0;
    if (code.trim() !== '' && (indent % 4 !== 0 || (indent < 4 && depth - closing > 0))) fault(index, 'not indented by fours');
    for (const character of code) depth += '{(['.includes(character) ? 1 : '})]'.includes(character) ? -1 : 0;
  });
  if (depth !== 0) fault(lines.length - 1, 'brackets do not match');
  return faults;
}

/** Checks every shader and part; throws with all faults. */
export function checkShaderStyle() {
  const files = filesUnder(paths.shaders).filter((file) => path.extname(file) === '.wgsl');
  const faults = files.flatMap((file) => shaderStyleFaults(fs.readFileSync(file, 'utf8')).map((fault) => `${show(file)}: ${fault}`));
  if (faults.length > 0) throw new Failure(faults.join('\n'));
  console.log(`${files.length} shaders`);
}
