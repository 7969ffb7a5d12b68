// Files that are whole or not there.
import fs from 'node:fs';

/** Writes a file beside its place and moves it there, so that an interruption leaves the earlier one. */
export function writeWhole(file, text) {
  const draft = `${file}.part`;
  fs.writeFileSync(draft, text);
  fs.renameSync(draft, file);
}
