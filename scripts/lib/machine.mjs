// What is published names no folder of the machine that built it: the messages of a panic hold the paths of sources.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { paths, show } from './paths.mjs';
import { Failure } from './run.mjs';

/** Folders of this machine, with what stands for them; the last that fits counts. */
const FOLDERS = [
  [os.homedir(), '~'],
  [process.env.CARGO_HOME ?? path.join(os.homedir(), '.cargo'), '.cargo'],
  [paths.root, '.'],
];

/** rustc's flags that write the second for the first. */
export const REMAP = FOLDERS.map((pair) => `--remap-path-prefix=${pair.join('=')}`);

/** A compiled file that names one of the folders is refused. */
export function checkNoPaths(file) {
  const bytes = fs.readFileSync(file);
  const found = FOLDERS.map(([folder]) => folder).find((folder) => folder.length > 1 && bytes.includes(`${folder}${path.sep}`));
  if (found) throw new Failure(`${show(file)} holds the path ${found}: compile it with --remap-path-prefix.`);
}
