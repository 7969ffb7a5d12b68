// The licenses of what others wrote and we hand on: THIRD_PARTY_LICENSES.txt of the npm package and of the site, made when they are built from
// what is in them. A license that is not allowed here, or a package without a text, ends the build.
import fs from 'node:fs';
import path from 'node:path';
import { inRoot, show } from './paths.mjs';
import { Failure, query } from './run.mjs';
import { ENGINE, WASM_TARGET } from './wasm.mjs';

export const THIRD_PARTY = 'THIRD_PARTY_LICENSES.txt';
/** Folders of the npm packages that are in the scripts of the site and of its documentation; the steps that build those write them. */
export const PACKAGES = { site: 'target/licenses/site.json', docs: 'target/licenses/docs.json' };
/** The project's own. */
export const OWN = ['LICENSE-MIT', 'LICENSE-APACHE'];

/** The licenses that may be in what we publish, each with words by which its text is known. Of a choice the first of them is taken. */
const ALLOWED = {
  MIT: /Permission is hereby granted, free of charge.*The above copyright notice/is,
  'Apache-2.0': /Apache License.*TERMS AND CONDITIONS FOR USE/is,
  ISC: /Permission to use, copy, modify, and\/or distribute.*provided that the above copyright notice/is,
  'BSD-2-Clause': /^(?!.*Neither the name).*Redistribution and use in source and binary forms/is,
  'BSD-3-Clause': /Redistribution and use in source and binary forms.*Neither the name/is,
  Zlib: /This software is provided 'as-is'.*Altered source versions/is,
  '0BSD': /^(?!.*provided that).*Permission to use, copy, modify, and\/or distribute/is,
  'MIT-0': /^(?!.*The above copyright notice).*Permission is hereby granted, free of charge/is,
  'BSL-1.0': /Boost Software License/i,
  'Unicode-3.0': /UNICODE LICENSE V3/i,
  'CC0-1.0': /CC0 1\.0 Universal/i,
  Unlicense: /free and unencumbered software released into the public domain/i,
  'Apache-2.0 WITH LLVM-exception': /Apache License.*LLVM Exceptions/is,
};
const RANK = Object.keys(ALLOWED);

/**
 * Which licenses of an SPDX expression to keep to: of `OR` (in old crates `/`) the side that is allowed, of `AND` both.
 * @returns {string[] | null} null if that cannot be done with allowed licenses alone
 */
export function chooseLicenses(expression) {
  const tokens = expression.replaceAll('/', ' OR ').match(/[()]|[^\s()]+/g) ?? [];
  let at = 0;
  const worst = (ids) => Math.max(...ids.map((id) => RANK.indexOf(id)));
  const either = () => {
    let best = both();
    while (tokens[at] === 'OR') {
      at++;
      const other = both();
      if (other && (!best || worst(other) < worst(best))) best = other;
    }
    return best;
  };
  const both = () => {
    let all = one();
    while (tokens[at] === 'AND') {
      at++;
      const other = one();
      all = all && other && [...new Set([...all, ...other])];
    }
    return all;
  };
  const one = () => {
    if (tokens[at] === '(') {
      at++;
      const within = either();
      return tokens[at++] === ')' ? within : null;
    }
    let id = tokens[at++];
    if (tokens[at] === 'WITH') {
      id += ` WITH ${tokens[at + 1]}`;
      at += 2;
    }
    return RANK.includes(id) ? [id] : null;
  };
  const chosen = either();
  return at === tokens.length ? chosen : null;
}

const tidy = (text) =>
  text
    .replaceAll('\r\n', '\n')
    .replaceAll(/[ \t]+$/gm, '')
    .replaceAll(/^\n+|\n+$/g, '');
/** Texts are the same if only their line breaks differ. */
const keyOf = (text) => text.replaceAll(/\s+/g, ' ').trim();

/** The text of a license without anybody's name: ours for the two that we have, else that of a package that has one. */
function standardText(id, { name, authors }, others) {
  const ours = { MIT: 'LICENSE-MIT', 'Apache-2.0': 'LICENSE-APACHE' }[id];
  const text = ours ? fs.readFileSync(inRoot(ours), 'utf8') : others.flatMap(({ texts }) => texts).find((found) => ALLOWED[id].test(found));
  if (!text) throw new Failure(`${name} has no file with the text of its license, ${id}, and no other package has one: add the text.`);
  const holders = authors?.length > 0 ? authors.map((author) => author.replace(/\s*<.*>/, '')).join(', ') : `The authors of ${name}`;
  return text.replace(/^Copyright .*$/m, () => `Copyright (c) ${holders}`);
}

/**
 * The texts to hand on, each with the packages that it is for, in order of names.
 * @param {{name: string, version: string, license: string, texts: string[], authors?: string[]}[]} packages `texts` are their license files
 * @returns {{packages: string[], text: string}[]}
 */
export function groupTexts(packages) {
  const groups = new Map();
  const add = (text, label) => {
    const group = groups.get(keyOf(text)) ?? { packages: new Set(), text: tidy(text) };
    groups.set(keyOf(text), group);
    group.packages.add(label);
  };
  const byTitle = (a, b) => (a.title < b.title ? -1 : Number(a.title > b.title));
  const titled = packages.map((entry) => ({ ...entry, title: [entry.name, entry.version].filter(Boolean).join(' ') }));
  for (const entry of titled.sort(byTitle)) {
    const { title, license, texts, notices = [] } = entry;
    const chosen = license ? chooseLicenses(license) : null;
    if (!chosen) {
      const says = license ? `is licensed "${license}", which is not allowed here` : 'names no license';
      throw new Failure(`${title} ${says}; allowed are ${RANK.join(', ')}.`);
    }
    for (const id of chosen) {
      const found = texts.filter((text) => ALLOWED[id].test(text));
      for (const text of found.length > 0 ? found : [standardText(id, entry, packages)]) add(text, `${title} (${license})`);
    }
    // Apache-2.0 asks to keep these beside its text.
    if (chosen.some((id) => id.startsWith('Apache'))) for (const text of notices) add(text, `${title}: notice`);
  }
  return [...groups.values()].map(({ packages: names, text }) => ({ packages: [...names], text }));
}

/** The whole file. */
export function licensesText(packages) {
  const parts = groupTexts(packages).map(
    ({ packages: names, text }) => `${'='.repeat(80)}\n${names.join('\n')}\n${'-'.repeat(80)}\n${text}\n`,
  );
  const head = 'What topk-lm contains of others, each with its license; where that leaves a choice, the text of one is here.\n';
  return [head, ...parts].join('\n');
}

/** What a package's folder says: the texts of its licenses, and notices. */
function textsIn(folder) {
  const read = (pattern) =>
    fs
      .readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile() && pattern.test(entry.name))
      .map(({ name }) => name)
      .sort()
      .map((name) => fs.readFileSync(path.join(folder, name), 'utf8'));
  return { texts: read(/^(licen[cs]e|copying|unlicense)/i), notices: read(/^notice/i) };
}

/** What is linked into a wasm module. */
export const cratesOf = (module) => cratesFor(WASM_TARGET, module.options);

/** What is linked with the options of cargo: crates, and the standard library, of which no tool tells. */
export function cratesFor(target, cargoOptions = ['-p', 'topk-lm']) {
  const options = ['--edges', 'normal,no-proc-macro', '--prefix', 'none', '--no-dedupe', '--format', '{p}'];
  const tree = query('cargo', ['tree', '--locked', ...cargoOptions, '--target', target, ...options]);
  const metadata = query('cargo', ['metadata', '--locked', '--format-version', '1', '--filter-platform', target]);
  if (tree === null || metadata === null) throw new Failure(`cargo cannot list the crates for ${target}: run cargo fetch --locked.`);
  const known = new Map(JSON.parse(metadata).packages.map((found) => [`${found.name} v${found.version}`, found]));
  const crates = [...new Set(tree.split('\n').map((line) => line.split(' ').slice(0, 2).join(' ')))].filter(
    (id) => !id.startsWith('topk-lm v'),
  );
  return [
    { name: 'Rust standard library', version: '', license: 'MIT OR Apache-2.0', texts: [], authors: ['The Rust Project contributors'] },
    ...crates.map((id) => {
      const found = known.get(id);
      if (!found) throw new Failure(`cargo metadata does not know ${id}, which cargo tree names.`);
      const { name, version, license, authors, manifest_path: manifest } = found;
      return { name, version, license, authors, ...textsIn(path.dirname(manifest)) };
    }),
  ];
}

/** Folders of npm packages, relative to the root, of which esbuild put something into what it wrote. */
export function foldersOf({ outputs }, base) {
  const used = Object.values(outputs).flatMap(({ inputs }) => Object.entries(inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0));
  const files = used.map(([file]) => show(path.resolve(base, file)).split(path.sep).join('/'));
  return [...new Set(files.map((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0]).filter(Boolean))].sort();
}

/** Writes one of PACKAGES. */
export function writePackages(file, folders) {
  fs.mkdirSync(path.dirname(inRoot(file)), { recursive: true });
  fs.writeFileSync(inRoot(file), JSON.stringify(folders));
}

/** Folder of an npm package of that version, relative to the root, as package-lock.json has it. */
export function folderOf({ name, version }) {
  const { packages } = JSON.parse(fs.readFileSync(inRoot('package-lock.json'), 'utf8'));
  const found = Object.keys(packages).find((key) => key.endsWith(`node_modules/${name}`) && packages[key].version === version);
  if (!found) throw new Failure(`package-lock.json has no ${name} ${version}, of which something is in the site.`);
  return found;
}

/** npm packages by their folders. */
export function npmPackages(folders) {
  return folders.map((folder) => {
    const { name, version, license } = JSON.parse(fs.readFileSync(inRoot(folder, 'package.json'), 'utf8'));
    return { name, version, license, ...textsIn(inRoot(folder)) };
  });
}

/** Writes the file: the crates of the wasm modules, and the npm packages in `folders`. */
export function writeLicenses(file, folders, modules = [ENGINE]) {
  const crates = modules.flatMap(cratesOf);
  const each = new Map(crates.map((crate) => [`${crate.name} ${crate.version}`, crate]));
  fs.writeFileSync(file, licensesText([...each.values(), ...npmPackages(folders)]));
}
