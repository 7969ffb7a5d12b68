import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allowedNames, deadItemFaults, publicItems } from '../../scripts/lib/dead-items.mjs';
import { codeOf, withoutTests } from '../../scripts/lib/rust-code.mjs';

test('comments, texts and tests are no code', () => {
  const text =
    'a /* b */ "c // d" e\'f\'; // g\nlet l: &\'h str = r#"i "j" k"#;\n#[cfg(test)]\nmod tests { fn m() { n() } }\nfn o() {}\n#[cfg(test)]\nmod p;q';
  const words = withoutTests(codeOf(text)).match(/\w+/g);
  assert.deepEqual(words, ['a', 'e', 'let', 'l', 'h', 'str', 'fn', 'o', 'q']);
});

const dead = (sources, ...more) =>
  publicItems(sources, ...more)
    .filter(({ uses }) => uses === 0)
    .map(({ name }) => name);

test('an item that occurs only where it is defined is dead', () => {
  const sources = {
    'a.rs':
      '/// unused\npub fn unused() {}\npub struct Used;\npub(crate) const LIMIT: usize = 3;\nimpl Used {\n    pub async fn run(&self) {}\n}',
    'b.rs': 'pub use crate::a::unused;\nfn f(x: Used) { x.run() } // LIMIT\n#[cfg(test)]\nmod tests { fn g() { unused() } }',
  };
  assert.deepEqual(dead(sources), ['unused', 'LIMIT']);
  assert.deepEqual(dead(sources, ['#[test] fn h() { unused() }']), ['LIMIT']);
});

test('what only tests use is dead, wherever they are', () => {
  const sources = {
    'a.rs': 'pub fn b() {}\npub fn c() {}\npub fn d() {}\npub fn e() {}\npub fn f() {}\npub fn g() {}\n#[cfg(test)]\nmod checks;',
    'a/checks.rs': 'mod more; fn h() { super::b() }',
    'a/checks/more.rs': 'fn i() { crate::a::c() }',
    'j/mod.rs': '#[cfg(test)]\n#[path = "odd.rs"]\nmod odd;\n#[cfg(all(test, feature = "cli"))]\nmod tests { fn k() { d() } }\nmod l;',
    'j/odd.rs': 'fn m() { e() }',
    'j/l.rs': 'fn n() { f() }\n#[cfg(any(test, feature = "cli"))]\nfn o() { g() }',
  };
  assert.deepEqual(dead(sources), ['b', 'c', 'd', 'e']);
});

test('the wasm surface has its users in JavaScript', () => {
  const sources = { 'wasm/mod.rs': 'pub fn load_checkpoint() {}\npub fn logit_lens() {}' };
  assert.deepEqual(dead(sources, [], 'await engine.loadCheckpoint(3)'), ['logit_lens']);
});

test('the allow list is the documented API, and holds nothing else', () => {
  const items = publicItems({ 'a.rs': 'pub fn open() {}\n\npub fn close() {}' });
  assert.deepEqual(deadItemFaults(items, allowedNames('open # documented\n# close\n')), [
    'crate/src/a.rs:3: close is public, but nothing uses it: remove it, or list it in crate/public-api.txt.',
  ]);
  assert.deepEqual(deadItemFaults(items, ['open', 'close', 'gone']), ['crate/public-api.txt: the crate has no public item gone.']);
});
