// The direction of dependencies in crate/src, from its `use` lines and paths: crate/layers.txt lists the layers from the surface down. A
// module may use its own layer and those below it; no arrow leads back up, and no modules form a circle.
import fs from 'node:fs';
import path from 'node:path';
import { paths } from './paths.mjs';
import { Failure } from './run.mjs';
import { productSources, REEXPORT, rustSources } from './rust-code.mjs';

const TABLE = 'crate/layers.txt';

/**
 * Layers from the surface down: one `name: module module::below …` per line; `#` begins a comment.
 * @returns {{name: string, modules: string[]}[]}
 */
export function readLayers(text) {
  return text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter(Boolean)
    .map((line) => {
      const [name, modules] =
        line.split(':').length > 1 ? [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)] : [line, ''];
      return { name: name.trim(), modules: modules.trim().split(/\s+/).filter(Boolean) };
    });
}

/** `a::{b, c::{self, d as e}}` → `a::b`, `a::c`, `a::c::d`. */
export function expandUse(tree) {
  const text = tree.replaceAll(/\s+/g, ' ').trim();
  const open = text.indexOf('{');
  if (open < 0) return [text.replace(/ as \w+$/, '').replace(/(^|::)self$/, '')];
  const prefix = text.slice(0, open);
  const parts = [];
  let depth = 0;
  let from = open + 1;
  for (let at = open; at < text.length; at++) {
    if (text[at] === '{') depth++;
    if ((text[at] === ',' && depth === 1) || (text[at] === '}' && --depth === 0)) {
      if (text.slice(from, at).trim() !== '') parts.push(text.slice(from, at).trim());
      from = at + 1;
    }
  }
  return parts.flatMap((part) => expandUse(part).map((path) => (path === '' ? prefix.replace(/::$/, '') : prefix + path)));
}

/** Of a file: the name of its folder for mod.rs, `` for lib.rs, and all of `bin/` is one module. */
function moduleOf(file) {
  const parts = file.replace(/\.rs$/, '').split('/');
  if (parts[0] === 'bin') return 'bin';
  if (parts.at(-1) === 'mod' || (parts.length === 1 && parts[0] === 'lib')) parts.pop();
  return parts.join('::');
}

/**
 * Which module uses which.
 * @param {Record<string, string>} sources text by path relative to crate/src
 * @returns {Map<string, Map<string, string>>} module → modules it uses (not itself, its ancestors or its descendants) → a path by which it does
 */
export function arrows(sources) {
  const code = new Map(); // module → its code
  for (const [file, text] of Object.entries(productSources(sources))) {
    const module = moduleOf(file);
    code.set(module, `${code.get(module) ?? ''}\n${text}`);
  }
  const exported = new Map([...code].map(([module, text]) => [module, reexports(module, text)]));
  const target = (path) => followed(path, exported);
  const found = new Map();
  for (const [module, text] of code) {
    // What a facade hands on is no dependency of it.
    const used = namedPaths(module, text.replaceAll(REEXPORT, '')).map((name) => [target(name), name]);
    const others = used.filter(([other]) => other !== null && other !== module && !isWithin(other, module) && !isWithin(module, other));
    found.set(module, new Map(others));
  }
  return found;
}

const isWithin = (module, outer) => outer === '' || module === outer || module.startsWith(`${outer}::`);

/** Absolute paths (without `crate::`) that a module's code names. */
function namedPaths(module, code) {
  const uses = [...code.matchAll(/\buse\s+([^;]+);/g)].flatMap(([, tree]) => expandUse(tree));
  const inline = [...code.replaceAll(/\buse\s+[^;]+;/g, '').matchAll(/\b(?:crate|super|self|topk_lm)(?:::\w+)+/g)].map(([name]) => name);
  return [...uses, ...inline].map((name) => absolute(module, name)).filter((name) => name !== null);
}

function absolute(module, name) {
  const parts = name.split('::').map((part) => part.trim());
  if (module === 'bin') return parts[0] === 'topk_lm' ? parts.slice(1).join('::') : null;
  if (parts[0] === 'crate') return parts.slice(1).join('::');
  if (parts[0] !== 'super' && parts[0] !== 'self') return null;
  let at = module.split('::');
  while (parts[0] === 'super' || parts[0] === 'self') if (parts.shift() === 'super') at = at.slice(0, -1);
  return [...at, ...parts].filter(Boolean).join('::');
}

/** Item → path of what `pub use` lines hand on under that name; `*` → modules taken whole. */
function reexports(module, code) {
  const found = new Map();
  for (const [, tree] of code.matchAll(REEXPORT)) {
    for (const name of expandUse(tree)) {
      const first = name.split('::')[0];
      const whole = ['crate', 'super', 'self'].includes(first) ? absolute(module, name) : [module, name].filter(Boolean).join('::');
      if (whole) found.set(whole.split('::').at(-1), whole);
    }
  }
  return found;
}

/** The module in which a path ends, `pub use` followed; null where it names none of ours. */
function followed(name, exported, hops = 0) {
  const parts = name.split('::');
  for (let length = parts.length; length >= 0; length--) {
    const module = parts.slice(0, length).join('::');
    if (!exported.has(module)) continue;
    const onward = exported.get(module).get(parts[length]);
    if (onward && hops < 8) return followed([onward, ...parts.slice(length + 1)].join('::'), exported, hops + 1) ?? module;
    return module === '' ? null : module;
  }
  return null;
}

/** The entry of the table that a module belongs to: the longest that holds it. */
function placed(module, layers) {
  let best = null;
  layers.forEach(({ modules }, level) => {
    for (const entry of modules) {
      if (isWithin(module, entry) && (best === null || entry.length > best.entry.length)) best = { entry, level };
    }
  });
  return best;
}

/**
 * What is against the direction, as sentences.
 * @param {Map<string, Map<string, string>>} graph of `arrows`
 * @param {{name: string, modules: string[]}[]} layers of `readLayers`
 */
export function dependencyFaults(graph, layers) {
  const faults = [];
  for (const entry of layers.flatMap(({ modules }) => modules)) {
    if (![...graph.keys()].some((module) => isWithin(module, entry))) faults.push(`${TABLE}: there is no module ${entry}.`);
  }
  for (const [module, others] of graph) {
    if (module === '') continue;
    const from = placed(module, layers);
    if (!from) faults.push(`${TABLE}: module ${module} is in no layer.`);
    for (const [other, name] of others) {
      const to = placed(other, layers);
      if (from && to && to.level < from.level) {
        faults.push(`${module} (${layers[from.level].name}) uses ${name} (${layers[to.level].name}), which is above it.`);
      }
    }
  }
  return [
    ...faults,
    ...circles(graph).map(
      (circle) =>
        `A circle: ${circle.map((module, at) => `${module} → ${graph.get(module).get(circle[(at + 1) % circle.length])}`).join(', ')}.`,
    ),
  ];
}

/** One shortest circle through each module that is on one and not yet in another that was found. */
function circles(graph) {
  const found = [];
  const done = new Set();
  for (const start of [...graph.keys()].sort()) {
    if (done.has(start)) continue;
    const circle = shortestCircle(graph, start);
    if (!circle) continue;
    for (const module of circle) done.add(module);
    found.push(circle);
  }
  return found;
}

function shortestCircle(graph, start) {
  const before = new Map();
  const queue = [start];
  for (const module of queue) {
    for (const other of graph.get(module)?.keys() ?? []) {
      if (other === start) {
        const circle = [module];
        while (circle[0] !== start) circle.unshift(before.get(circle[0]));
        return circle;
      }
      if (!before.has(other)) {
        before.set(other, module);
        queue.push(other);
      }
    }
  }
  return null;
}

/** The arrows between layers, drawn: one line a layer. */
export function drawLayers(graph, layers) {
  return layers.map(({ name, modules }, level) => {
    const below = new Set();
    for (const [module, others] of graph) {
      if (placed(module, layers)?.level !== level) continue;
      for (const other of others.keys()) {
        const to = placed(other, layers);
        if (to && to.level !== level) below.add(layers[to.level].name);
      }
    }
    return `  ${name.padEnd(12)} ${modules.join(' ')}${below.size > 0 ? `  → ${[...below].join(', ')}` : ''}`;
  });
}

export function checkDependencies() {
  const layers = readLayers(fs.readFileSync(path.join(paths.root, TABLE), 'utf8'));
  const graph = arrows(rustSources());
  const faults = dependencyFaults(graph, layers);
  console.log(drawLayers(graph, layers).join('\n'));
  if (faults.length > 0) throw new Failure(faults.join('\n'));
  const count = [...graph.values()].reduce((sum, others) => sum + others.size, 0);
  console.log(`${graph.size} modules, ${count} arrows, none of them back up`);
}
