// crate/ → wasm → JavaScript bindings → wasm-opt: topk_lm.js and topk_lm_bg.wasm in js/src/generated/ (their types, which
// wasm-bindgen cannot say in full, are js/src/topk_lm.d.ts).
import fs from 'node:fs';
import path from 'node:path';
import { checkNoPaths, REMAP } from './machine.mjs';
import { inRoot, paths } from './paths.mjs';
import { capture, Failure, run } from './run.mjs';
import { step } from './steps.mjs';
import { ensureCargo } from './system.mjs';
import { wasmToolchain } from './wasm-toolchain.mjs';

const MANIFESTS = ['Cargo.toml', 'Cargo.lock'];
const ENGINE = [...MANIFESTS, '.cargo', 'crate/Cargo.toml', 'crate/build.rs', 'crate/src', 'shaders'];
export const WASM_TARGET = 'wasm32-unknown-unknown';
/** What of the workspace becomes the module, as cargo's arguments. */
export const ENGINE_OPTIONS = ['-p', 'topk-lm', '--no-default-features', '--features', 'gpu'];
const RAW = 'target/wasm/wasm32-unknown-unknown/wasm/topk_lm.wasm';
const BINDINGS = 'target/wasm/bindings';
const GENERATED = 'js/src/generated';

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

/** Builds the engine for the web, if it changed. */
export async function buildWasm() {
  ensureCargo();
  await step('wasm: compile', { inputs: [...ENGINE, 'scripts/rustc-tool', 'scripts/lib/wasm.mjs'], outputs: [RAW] }, compile);
  await step(
    'wasm: bindings',
    { inputs: [...MANIFESTS, 'scripts/wasm-bindgen-tool', RAW], outputs: [`${BINDINGS}/topk_lm_bg.wasm`] },
    makeBindings,
  );
  await step(
    'wasm: optimize',
    {
      inputs: [BINDINGS, 'scripts/lib/wasm.mjs'],
      outputs: ['topk_lm_bg.wasm', 'topk_lm.js'].map((name) => `${GENERATED}/${name}`),
    },
    optimize,
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

async function compile() {
  const { kind, cargo, args, env } = await wasmToolchain();
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
      ...ENGINE_OPTIONS,
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
}

async function makeBindings() {
  await buildTool('topk-lm-bindings');
  await run(toolPath('topk-lm-bindings'), [inRoot(RAW), inRoot(BINDINGS)]);
}

async function optimize() {
  fs.mkdirSync(paths.generated, { recursive: true });
  const [from, to] = [inRoot(BINDINGS), paths.generated];
  await run(process.execPath, [
    inRoot('node_modules/binaryen/bin/wasm-opt'),
    path.join(from, 'topk_lm_bg.wasm'),
    '-O2',
    '--strip-debug',
    '--strip-producers',
    ...FEATURES.map((feature) => `--enable-${feature}`),
    '-o',
    path.join(to, 'topk_lm_bg.wasm'),
  ]);
  checkNoPaths(path.join(to, 'topk_lm_bg.wasm'));
  const bindings = fs.readFileSync(path.join(from, 'topk_lm.js'), 'utf8');
  // What an instance that trapped had still to do comes to nothing, and the port it waited at closes (it would keep Node alive).
  // wasm-bindgen would throw where nobody can catch it.
  const late = "throw new Error('Cannot invoke closure from previous WASM instance');";
  if (!bindings.includes(late)) throw new Failure(`topk_lm.js no longer says: ${late}`);
  fs.writeFileSync(
    path.join(to, 'topk_lm.js'),
    bindings.replaceAll(late, 'if (args[0]?.target instanceof MessagePort) args[0].target.close(); return undefined;'),
  );
}
