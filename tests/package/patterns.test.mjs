// The patterns by which published tokenizers split texts, in the engine as it is built for the web (which leaves out what of the regex
// crates no tokenizer needs), against JavaScript's own regular expressions.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { modelFolder, packageFolder } from './fixture.mjs';

const { TopKLM, TopKError } = await import(pathToFileURL(path.join(packageFolder, 'index.js')).href);

const TEXT =
  "We've SEEN it'll cost 12345 euros…\r\n\n  naïve ÉCOLE Größe ǅungla e\u0301t\u0302é; 日本語の文章 和 한국어 Ελλάδα τέλος Москва שלום عربى १२३ Ⅷ ½ x=y²+foo_bar\t!!?? 👩‍👩‍👧 🇩🇪 \u00a0 end  ";

// Names that users know; each once in Rust's and once in JavaScript's spelling where the two differ.
const CONTRACTION = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";
const PATTERNS = [
  ['GPT-2', "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"],
  [
    'Llama 3',
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  ],
  [
    'Qwen 2',
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  ],
  [
    'o200k',
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  ],
  ['Han and kana', '[\\p{Script=Han}]+|[\\p{Script=Hiragana}\\p{Script=Katakana}]+|\\p{L}+|\\s+|[^\\p{L}\\s]'],
  ['DeepSeek', '[一-龥\\u3040-ゟ゠-ヿ]+|[\\p{P}\\p{S}]+|\\p{N}{1,3}|\\s+|[^一-龥\\u3040-ゟ゠-ヿ\\p{P}\\p{S}\\p{N}\\s]+'],
  [
    'properties',
    '\\p{Alphabetic}+|\\p{Emoji_Presentation}|\\p{White_Space}+|\\p{Uppercase}|[^\\p{Alphabetic}\\p{Emoji_Presentation}\\p{White_Space}]',
  ],
];

/** The pieces of a text, in JavaScript. */
function split(pattern, text) {
  const own = pattern.replaceAll("(?i:'s|'t|'re|'ve|'m|'ll|'d)", CONTRACTION);
  const pieces = [...text.matchAll(new RegExp(own, 'gu'))].map(([piece]) => piece);
  assert.equal(pieces.join(''), text, 'the pattern leaves nothing out');
  return pieces;
}

/** A model whose tokens are the pieces. */
function modelWith(pattern, pieces) {
  const files = ['config.json', 'model.safetensors'].map((name) => [name, fs.readFileSync(path.join(modelFolder, name))]);
  const words = ['<unk>', ...new Set(pieces)];
  const vocab = Object.fromEntries(words.map((piece, id) => [piece, id]));
  const tokenizer = {
    version: '1.0',
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
    post_processor: null,
    decoder: null,
    model: { type: 'WordLevel', vocab, unk_token: '<unk>' },
  };
  return { source: { ...Object.fromEntries(files), 'tokenizer.json': new TextEncoder().encode(JSON.stringify(tokenizer)) }, words };
}

for (const [name, pattern] of PATTERNS) {
  test(`${name}: the pieces are JavaScript's`, async () => {
    const pieces = split(pattern, TEXT);
    const { source, words } = modelWith(pattern, pieces);
    const model = await TopKLM.load(source, { backend: 'cpu' });
    assert.deepEqual(
      [...(await model.tokenizer.encode(TEXT))].map((id) => words[id]),
      pieces,
    );
    // Long enough that the lazily made automaton is thrown away and begun again.
    const long = `${TEXT.trimEnd()} `.repeat(200);
    const ids = await model.tokenizer.encode(long);
    assert.equal(
      [...ids].every((id) => id < words.length),
      true,
    );
    await model.dispose();
  });
}

test('a property that the web build leaves out is an error that names the file', async () => {
  const { source } = modelWith('\\p{Age=6.0}+', ['a']);
  await assert.rejects(
    TopKLM.load(source, { backend: 'cpu' }),
    (error) => error instanceof TopKError && /tokenizer\.json/.test(error.message),
  );
});
