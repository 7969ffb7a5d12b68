// crate/ → wasm → JavaScript bindings → wasm-opt, twice: the engine of the package (topk_lm.js and topk_lm_bg.wasm in js/src/generated/; their
// types, which wasm-bindgen cannot say in full, are js/src/topk_lm.d.ts), and the statistics of the site (in www/src/generated/).
import fs from 'node:fs';
import path from 'node:path';
import { checkNoPaths, REMAP } from './machine.mjs';
import { inRoot, paths } from './paths.mjs';
import { capture, Failure, query, run } from './run.mjs';
import { step } from './steps.mjs';
import { ensureCargo } from './system.mjs';
import { wasmToolchain } from './wasm-toolchain.mjs';

const MANIFESTS = ['Cargo.toml', 'Cargo.lock'];
const SOURCES = [...MANIFESTS, '.cargo', 'crate/Cargo.toml', 'crate/build.rs', 'crate/src', 'shaders'];
export const WASM_TARGET = 'wasm32-unknown-unknown';
/** A module: its name, what of the workspace becomes it, as cargo's arguments, and where it goes. */
const module = (name, features, generated) => ({
  name,
  options: ['-p', 'topk-lm', '--no-default-features', '--features', features],
  raw: `target/wasm/modules/${name}.wasm`,
  bindings: `target/wasm/bindings/${name}`,
  generated,
});
export const ENGINE = module('topk_lm', 'gpu', 'js/src/generated');
export const STATISTICS = module('statistics', 'statistics', 'www/src/generated');
/** Where cargo writes either. */
const BUILT = 'target/wasm/wasm32-unknown-unknown/wasm/topk_lm.wasm';

// Features of every browser with WebGPU; wasm-opt must know what the module may use.
const FEATURES = ['simd', 'bulk-memory', 'nontrapping-float-to-int', 'sign-ext', 'mutable-globals', 'reference-types', 'multivalue'];

// Features of dependencies that others ask for by default and no supported file needs: search strategies of regex-automata that only
// save time (the lazy DFA and the PikeVM stay), and properties that no tokenizer's pattern names (\\p{Age=…}, \\p{WB=…} and the like).
const WITHOUT = {
  regex_automata: [
    'dfa',
    'dfa-build',
    'dfa-onepass',
    'nfa-backtrack',
    'perf',
    'perf-inline',
    'perf-literal',
    'perf-literal-multisubstring',
  ],
  regex_syntax: ['unicode-age', 'unicode-segment'],
  aho_corasick: ['perf-literal'],
};

const labelOf = (of) => (of === ENGINE ? 'wasm' : `wasm of ${of.name}`);

/** The first part of `buildWasm`, of one module at a time: what cargo writes for either has the same name. */
export async function compileWasm(of) {
  ensureCargo();
  const toolchain = await wasmToolchain();
  const facts = { of, toolchain, version: query(toolchain.env.RUSTC ?? 'rustc', ['--version']) };
  const scripts = ['wasm', 'wasm-toolchain', 'machine'].map((name) => `scripts/lib/${name}.mjs`);
  await step(`${labelOf(of)}: compile`, { inputs: [...SOURCES, 'scripts/rustc-tool', ...scripts], outputs: [of.raw], facts }, () =>
    compile(of, toolchain),
  );
}

/** Builds a module for the web, if it changed. */
export async function buildWasm(of) {
  await compileWasm(of);
  const label = labelOf(of);
  await step(
    `${label}: bindings`,
    { inputs: [...MANIFESTS, 'scripts/wasm-bindgen-tool', 'scripts/lib/wasm.mjs', of.raw], outputs: [`${of.bindings}/${of.name}_bg.wasm`] },
    () => makeBindings(of),
  );
  await step(
    `${label}: optimize`,
    {
      inputs: [of.bindings, 'scripts/lib/wasm.mjs', 'package-lock.json'], // binaryen's version
      outputs: [`${of.name}_bg.wasm`, `${of.name}.js`].map((name) => `${of.generated}/${name}`),
    },
    () => optimize(of),
  );
}

/** Where cargo puts a command of the workspace that is built by `--profile tool`. */
const toolPath = (name) => inRoot('target/tool', process.platform === 'win32' ? `${name}.exe` : name);

const buildTool = (name) => run('cargo', ['build', '-p', name, '--profile', 'tool'], { env: { CARGO_TARGET_DIR: paths.target } });

/** Cargo doesn't see what the wrapper takes away: when that changes, the crates in question are built anew. */
async function forget(cargo, list, env) {
  const stamp = path.join(paths.wasmTarget, 'without.txt');
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === list) return;
  const packages = Object.keys(WITHOUT).flatMap((name) => ['-p', name.replaceAll('_', '-')]);
  await run(cargo, ['clean', ...packages, '--target', WASM_TARGET, '--profile', 'wasm'], { env });
  fs.mkdirSync(paths.wasmTarget, { recursive: true });
  fs.writeFileSync(stamp, list);
}

async function compile({ options, raw }, { kind, cargo, args, env }) {
  console.log(`  with: ${kind}`);
  await buildTool('topk-lm-rustc');
  const without = Object.entries(WITHOUT)
    .map(([name, features]) => `${name}:${features.join(',')}`)
    .join(';');
  const settings = { ...env, RUSTFLAGS: undefined, CARGO_TARGET_DIR: paths.wasmTarget };
  await forget(cargo, without, settings);
  // The flags for the target are in .cargo/config.toml, which RUSTFLAGS would override.
  const { code, output } = await capture(
    cargo,
    [
      'rustc',
      ...args,
      // Joined with those of .cargo/config.toml.
      ...['--config', `target.wasm32-unknown-unknown.rustflags=${JSON.stringify(REMAP)}`],
      ...options,
      ...['--target', WASM_TARGET, '--lib', '--crate-type', 'cdylib', '--profile', 'wasm'],
      // A third of the usual inlining threshold saves 17 KB (gzip) and measured no slower.
      ...['--', '-C', 'llvm-args=-inline-threshold=75'],
    ],
    { env: { ...settings, RUSTC_WRAPPER: toolPath('topk-lm-rustc'), WITHOUT_FEATURES: without } },
  );
  if (code !== 0) throw new Failure('The wasm build failed; its output is above.');
  // Native clippy does not see the code for the web, so the compiler's warnings there count as errors in CI.
  if (process.env.CI && /^warning: .*topk-lm.* generated \d+ warning/m.test(output)) {
    throw new Failure('The wasm build has warnings; they are above.');
  }
  fs.mkdirSync(path.dirname(inRoot(raw)), { recursive: true });
  fs.copyFileSync(inRoot(BUILT), inRoot(raw));
}

async function makeBindings({ raw, bindings }) {
  await buildTool('topk-lm-bindings');
  await run(toolPath('topk-lm-bindings'), [inRoot(raw), inRoot(bindings)]);
}

async function optimize({ name, bindings, generated }) {
  const [from, to] = [inRoot(bindings), inRoot(generated)];
  fs.mkdirSync(to, { recursive: true });
  await run(process.execPath, [
    inRoot('node_modules/binaryen/bin/wasm-opt'),
    path.join(from, `${name}_bg.wasm`),
    '-O2',
    // What can be told of contents and of sums of addresses, then all passes once more: 3.4 KB (gzip) of the package.
    ...(name === ENGINE.name ? ['--gufa-optimizing', '--optimize-added-constants-propagate', '-O2'] : []),
    // What the passes behind these decide by size: 1.8 KB (gzip), and measured no slower.
    '--shrink-level=1',
    // Takes another 1.7 KB (gzip): locals share their places better.
    '--coalesce-locals-learning',
    // What is alike then lies together: gzip takes 24 KB less.
    '--reorder-functions-by-name',
    // What has one caller stays a function, where it is of some size: see crate/src/numerics/gemm.rs.
    '--one-caller-inline-max-function-size=60',
    // The first KiB of memory is the last of the stack, so that a sum that wraps to it is no address: small sums move into loads and stores, which
    // takes 3.2 KB (gzip).
    '--low-memory-unused',
    '--strip-debug',
    '--strip-producers',
    ...FEATURES.map((feature) => `--enable-${feature}`),
    '-o',
    path.join(to, `${name}_bg.wasm`),
  ]);
  checkNoPaths(path.join(to, `${name}_bg.wasm`));
  let script = fs.readFileSync(path.join(from, `${name}.js`), 'utf8');
  const replace = (old, by) => {
    if (!script.includes(old)) throw new Failure(`${name}.js no longer says: ${old}`);
    script = script.replaceAll(old, by);
  };
  const part = (pattern, by) => replace(pattern.exec(script)?.[0] ?? String(pattern), by);
  // What an instance that trapped had still to do comes to nothing, and the port it waited at closes (it would keep Node alive).
  // wasm-bindgen would throw where nobody can catch it.
  replace(
    "throw new Error('Cannot invoke closure from previous WASM instance');",
    'if (args[0]?.target instanceof MessagePort) args[0].target.close(); return undefined;',
  );
  // Nor can anybody catch a trap in a task that the engine queued: js/src/engine.ts runs it, and stops the instance then.
  if (name === ENGINE.name) {
    replace('queueMicrotask(arg0);', 'queueMicrotask(() => tasks.run(arg0));');
    script += '\nexport const tasks = { run: (task) => task() };\n';
    // Nobody starts it so.
    part(/function initSync[\s\S]*?\n}\n/, '');
    replace('export { initSync, ', 'export { ');
    // It is always given a module, in an object.
    part(
      /(?<=async function __wbg_load\(.*\{\n)[\s\S]*?(?=\n}\n)/,
      'return { instance: await WebAssembly.instantiate(module, imports), module };',
    );
    part(/(?<=async function __wbg_init_once\(.*\{\n)[\s\S]*?(?=\n +const imports)/, '({ module_or_path } = module_or_path);');
    part(/ +if \(typeof module_or_path === 'string'[\s\S]*?\n {4}}\n/, '');
    // What it says of values is for messages.
    part(/(?<=function debugString\(.*\{\n)[\s\S]*?(?=\n}\n)/, 'return val instanceof Error ? String(val) : toString.call(val);');
  }
  fs.writeFileSync(path.join(to, `${name}.js`), script);
}
