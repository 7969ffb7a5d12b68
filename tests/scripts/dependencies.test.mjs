import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arrows, dependencyFaults, drawLayers, expandUse, readLayers } from '../../scripts/lib/dependencies.mjs';

const layers = readLayers('# from the surface down\nsurface: bin wasm\nsession: session\nground: error math # numbers\n');
const faultsOf = (sources, table = layers) =>
  dependencyFaults(arrows(sources), table).filter((fault) => !fault.includes('there is no module'));

test('a use tree names its paths', () => {
  assert.deepEqual(expandUse('crate::a::{self, b::{C, d as e}, f::*}'), ['crate::a', 'crate::a::b::C', 'crate::a::b::d', 'crate::a::f::*']);
});

test('arrows go down, whichever way they are written', () => {
  const sources = {
    'lib.rs': 'pub mod error; pub mod math; pub mod session;',
    'error.rs': 'pub struct Error;',
    'math.rs': 'use crate::error::Error;',
    'session/mod.rs': 'mod stop; pub use stop::Stop; fn f() -> crate::error::Error { crate::math::exp() }',
    'session/stop.rs': 'use super::super::error::Error; // use crate::wasm::No;\nconst TEXT: &str = "crate::wasm::no";',
    'wasm/mod.rs': 'use crate::session::{Stop, self};',
    'bin/topk-lm/main.rs': 'mod info; use topk_lm::session; use crate::info::Info;',
    'bin/topk-lm/info.rs': 'use topk_lm::session::Stop;',
  };
  assert.deepEqual(faultsOf(sources), []);
  const graph = arrows(sources);
  assert.deepEqual([...graph.get('wasm').keys()].sort(), ['session', 'session::stop']);
  assert.deepEqual([...graph.get('session').keys()].sort(), ['error', 'math']);
  assert.match(drawLayers(graph, layers)[1], /session\s+session\s+→ ground/);
});

test('an arrow back up is found', () => {
  const sources = { 'math.rs': 'fn f() { crate::session::g() }', 'session/mod.rs': '', 'error.rs': '' };
  assert.deepEqual(faultsOf(sources), ['math (ground) uses session::g (session), which is above it.']);
});

test('a circle is found, through what a facade hands on too', () => {
  const sources = {
    'session/mod.rs': 'mod a; mod b; mod c; pub use b::B;',
    'session/a.rs': 'use super::B;',
    'session/b.rs': 'use super::c::C;',
    'session/c.rs': 'use super::{a::{A}};',
  };
  assert.deepEqual(faultsOf(sources), ['A circle: session::a → session::B, session::b → session::c::C, session::c → session::a::A.']);
});

test('tests may look anywhere', () => {
  const sources = {
    'math.rs': '#[cfg(test)]\nmod more;\n#[cfg(test)]\nmod tests { use crate::session::S; fn f() {} }',
    'math/more.rs': 'mod below; use crate::wasm::W;',
    'math/more/below.rs': 'use crate::wasm::W;',
    'session/mod.rs': '',
    'wasm/mod.rs': '',
  };
  assert.deepEqual(faultsOf(sources), []);
});

test('a module that the table does not have is named, and one that does not exist', () => {
  const faults = dependencyFaults(arrows({ 'error.rs': '', 'stray.rs': '' }), readLayers('ground: error gone'));
  assert.deepEqual(faults, ['crate/layers.txt: there is no module gone.', 'crate/layers.txt: module stray is in no layer.']);
});
