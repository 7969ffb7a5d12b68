// crate/ → wasm → JavaScript bindings → wasm-opt: topk_lm.js and topk_lm_bg.wasm in js/src/generated/ (their types, which
// wasm-bindgen cannot say in full, are js/src/topk_lm.d.ts).
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
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

/** Builds the engine for the web, if it changed. */
export async function buildWasm() {
  ensureCargo();
  await step('wasm: compile', { inputs: [...ENGINE, 'scripts/lib/wasm.mjs'], outputs: [RAW] }, compile);
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

/** Folders of this machine, with what stands for them in the messages of a panic; the last that fits counts. */
const MACHINE = [
  [os.homedir(), '~'],
  [process.env.CARGO_HOME ?? path.join(os.homedir(), '.cargo'), '.cargo'],
  [paths.root, '.'],
];

/** A wasm file that names a folder of the machine it was built on is refused. */
function checkNoPaths(file) {
  const bytes = fs.readFileSync(file);
  const found = MACHINE.map(([folder]) => folder).find((folder) => folder.length > 1 && bytes.includes(`${folder}${path.sep}`));
  if (found) throw new Failure(`${path.relative(paths.root, file)} holds the path ${found}: compile it with --remap-path-prefix.`);
}

async function compile() {
  const { kind, cargo, args, env } = await wasmToolchain();
  console.log(`  with: ${kind}`);
  // The flags for the target are in .cargo/config.toml, which RUSTFLAGS would override.
  const { code, output } = await capture(
    cargo,
    [
      'rustc',
      ...args,
      // Joined with those of .cargo/config.toml.
      ...[
        '--config',
        `target.wasm32-unknown-unknown.rustflags=${JSON.stringify(MACHINE.map((pair) => `--remap-path-prefix=${pair.join('=')}`))}`,
      ],
      ...ENGINE_OPTIONS,
      ...['--target', WASM_TARGET, '--lib', '--crate-type', 'cdylib', '--profile', 'wasm'],
      // A third of the usual inlining threshold saves 17 KB (gzip) and measured no slower.
      ...['--', '-C', 'llvm-args=-inline-threshold=75'],
    ],
    { env: { ...env, RUSTFLAGS: undefined, CARGO_TARGET_DIR: paths.wasmTarget } },
  );
  if (code !== 0) throw new Failure('The wasm build failed; its output is above.');
  // Native clippy does not see the code for the web, so the compiler's warnings there count as errors in CI.
  if (process.env.CI && /^warning: .*topk-lm.* generated \d+ warning/m.test(output)) {
    throw new Failure('The wasm build has warnings; they are above.');
  }
}

async function makeBindings() {
  await run('cargo', ['build', '-p', 'topk-lm-bindings', '--profile', 'tool'], { env: { CARGO_TARGET_DIR: paths.target } });
  const tool = inRoot('target/tool', process.platform === 'win32' ? 'topk-lm-bindings.exe' : 'topk-lm-bindings');
  await run(tool, [inRoot(RAW), inRoot(BINDINGS)]);
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
