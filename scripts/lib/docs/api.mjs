// The reference of the JavaScript API, as Markdown: made from the package's declarations (*.d.ts) by the compiler's own reading of them.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';
import { inRoot, paths } from '../paths.mjs';
import { slugOf } from '../links.mjs';

/**
 * One page for each module that package.json exports with types.
 * @param {string} folder the built package
 * @returns {{label: string, to: string, markdown: string, declares: string[]}[]} `declares`: names with a heading of their own
 */
export function apiPages(folder = paths.npmPackage) {
  // TypeScript 7 has no compiler API: this is the version that svelte-check uses.
  const ts = createRequire(inRoot('www/package.json'))('typescript');
  const entries = entriesOf(folder);
  const program = ts.createProgram(
    entries.map(({ file }) => file),
    {
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      module: ts.ModuleKind.ES2022,
      target: ts.ScriptTarget.ES2022,
      types: [],
      noLib: true,
    },
  );
  const reader = new Reader(ts, program.getTypeChecker(), entries);
  return entries.map((entry) => reader.page(entry, program.getSourceFile(entry.file)));
}

/** `topk-lm`, `topk-lm/topk`, …, in the order of package.json. */
function entriesOf(folder) {
  const { name, exports } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
  return Object.entries(exports)
    .filter(([, target]) => typeof target === 'object' && target.types && !target.types.includes('bundle'))
    .map(([key, { types }]) => ({
      module: path.posix.join(name, key),
      to: `js/${key === '.' ? 'api' : key.slice(2)}.html`,
      file: path.join(folder, types),
    }));
}

const KINDS = [
  ['Classes', (ts, node) => ts.isClassDeclaration(node)],
  ['Functions and values', (ts, node) => ts.isFunctionDeclaration(node) || ts.isVariableDeclaration(node)],
  ['Types', () => true],
];

class Reader {
  /** Symbol → the module that documents it: the first that exports it. */
  #homes = new Map();

  constructor(ts, checker, entries) {
    this.ts = ts;
    this.checker = checker;
    this.entries = entries;
  }

  page({ module, to }, source) {
    const here = [];
    const elsewhere = [];
    for (const symbol of this.checker.getExportsOfModule(this.checker.getSymbolAtLocation(source))) {
      const real = symbol.flags & this.ts.SymbolFlags.Alias ? this.checker.getAliasedSymbol(symbol) : symbol;
      const home = this.#homes.get(real);
      if (home) elsewhere.push({ name: symbol.name, ...home });
      else {
        this.#homes.set(real, { module, to });
        here.push({ name: symbol.name, symbol: real, node: real.declarations[0] });
      }
    }
    const lines = [`# ${module}`, `\`import { … } from '${module}'\``];
    const intro = this.ts.getLeadingCommentRanges(source.text, 0)?.[0];
    const text = intro && /^\/\*\*\s*([\s\S]*?)\s*\*\/$/.exec(source.text.slice(intro.pos, intro.end))?.[1];
    // A comment that belongs to the first statement is that one's.
    if (text && source.statements[0] && !this.ts.getJSDocCommentsAndTags(source.statements[0]).some(({ pos }) => pos === intro.pos))
      lines.push(text.replaceAll(/\n\s*\*\s?/g, '\n'));
    for (const [title, isKind] of KINDS) {
      const chosen = here.filter((item) => !item.done && isKind(this.ts, item.node)).sort((a, b) => (a.name < b.name ? -1 : 1));
      if (chosen.length > 0) lines.push(`## ${title}`);
      for (const item of chosen) {
        item.done = true;
        lines.push(...this.#item(item));
      }
    }
    if (elsewhere.length > 0) {
      lines.push('## Also exported here');
      lines.push(elsewhere.map(({ name, to }) => `[\`${name}\`](${path.posix.basename(to)}#${slugOf(name)})`).join(', '));
    }
    return { label: `Reference: ${module}`, to, markdown: `${lines.join('\n\n')}\n`, declares: here.map(({ name }) => name) };
  }

  #item({ name, symbol, node }) {
    const { ts } = this;
    const lines = [`### ${name}`];
    if (!ts.isClassDeclaration(node))
      return [...lines, ...this.#documented(symbol, codeOf(symbol.declarations.map((one) => sourceOf(ts, one)).join('\n')))];
    const heritage = (node.heritageClauses ?? []).map((clause) => ` ${clause.getText()}`).join('');
    lines.push(...this.#documented(symbol, codeOf(`class ${name}${heritage}`)));
    for (const member of node.members) {
      const modifiers = ts.getCombinedModifierFlags(member);
      const isOurs = !(modifiers & ts.ModifierFlags.Private) && member.name && !ts.isPrivateIdentifier(member.name);
      const isName = member.name?.getText() === 'name' && ts.isPropertyDeclaration(member); // an error's, said by its class
      if (isOurs && !isName)
        lines.push(`#### ${name}.${member.name.getText()}`, ...this.#documented(member.symbol, codeOf(sourceOf(ts, member))));
    }
    return lines;
  }

  /** What a declaration's comment says, around its code. */
  #documented(symbol, code) {
    const lines = [code];
    const text = this.#text(symbol.getDocumentationComment(this.checker));
    if (text !== '') lines.push(text);
    const tags = symbol.getJsDocTags(this.checker);
    const parameters = tags.filter(({ name }) => name === 'param');
    if (parameters.length > 0) {
      const entry = ({ text = [] }) => {
        const [name, ...rest] = text;
        return `- \`${name?.text ?? ''}\`: ${this.#text(rest).replace(/^[\s-]+/, '')}`;
      };
      lines.push(parameters.map(entry).join('\n'));
    }
    for (const { text = [] } of tags.filter(({ name }) => name === 'returns'))
      lines.push(`Returns ${this.#text(text)}.`.replace('..', '.'));
    for (const { text = [] } of tags.filter(({ name }) => name === 'example'))
      lines.push(`For example:\n\n${codeOf(this.#text(text), 'js')}`);
    return lines;
  }

  /** Parts of a comment as Markdown; `{@link Name}` becomes a link. */
  #text(parts) {
    return parts
      .map((part) => {
        if (part.kind === 'link') return '';
        if (part.kind === 'linkName' || part.kind === 'linkText') return `[\`${part.text.trim()}\`](#${slugOf(part.text)})`;
        return part.text;
      })
      .join('')
      .trim();
  }
}

const codeOf = (code, language = 'ts') => `\`\`\`${language}\n${code}\n\`\`\``;

/** A declaration as written, without its own comment and without what says only that it is exported. */
function sourceOf(ts, node) {
  const whole = ts.isVariableDeclaration(node) ? node.parent.parent : node;
  const text = whole
    .getText()
    .replace(/^export (default )?/, '')
    .replace(/^declare /, '')
    .replaceAll(/\{@link ([^}]*)\}/g, '$1');
  const { character: indent } = whole.getSourceFile().getLineAndCharacterOfPosition(whole.getStart());
  const dedent = (line) => line.slice(Math.min(indent, /^ */.exec(line)[0].length));
  return text
    .split('\n')
    .map((line, at) => (at === 0 ? line : dedent(line)).replace(/^( {4})+/, (spaces) => ' '.repeat(spaces.length / 2)))
    .join('\n');
}
