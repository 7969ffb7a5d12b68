// What a command wrote, file by file.
import fs from 'node:fs';

/** Every file below a folder, by its path. */
export function contents(folder) {
  const names = fs.readdirSync(folder, { recursive: true }).filter((name) => fs.statSync(`${folder}/${name}`).isFile());
  return new Map(names.sort().map((name) => [name, fs.readFileSync(`${folder}/${name}`)]));
}
