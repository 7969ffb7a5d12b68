import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { gguf } from '../../benches/peers/models/gguf.mjs';
import { promptOf, SHAPES, tensorsOf } from '../../benches/peers/models/llama.mjs';
import { bytesOf, f16Bits, transposed } from '../../benches/peers/models/numbers.mjs';
import { onnxLlama, onnxTopK } from '../../benches/peers/models/onnx.mjs';
import { safetensors } from '../../benches/peers/models/safetensors.mjs';

const SHAPE = { name: 'test', d: 64, layers: 1, heads: 2, ffn: 80, vocab: 100, context: 16 };
const digest = (parts) =>
  parts
    .reduce((hash, bytes) => hash.update(bytes), createHash('sha256'))
    .digest('hex')
    .slice(0, 16);

test('the random models are the same everywhere, byte for byte', () => {
  assert.deepEqual(
    {
      f32: digest(safetensors(SHAPE, 'f32')),
      f16: digest(safetensors(SHAPE, 'f16')),
      int8: digest(safetensors(SHAPE, 'int8')),
      gguf: digest(gguf(SHAPE, 'f32')),
      q8_0: digest(gguf(SHAPE, 'q8_0')),
      // Cosines may differ in the last bit from machine to machine.
      onnx: onnxLlama(SHAPE).reduce((sum, { length }) => sum + length, 0),
      topk: digest(onnxTopK(2, 8, 3)),
    },
    {
      f32: 'bdb934d7db5a5a63',
      f16: 'cb0240579ada73e2',
      int8: '5d50c40625d7d6bf',
      gguf: 'd78d53329f77ec32',
      q8_0: '481731c4f92414d4',
      onnx: 185_102,
      topk: '01cc0199c23983d9',
    },
  );
});

test('f16 and int8 hold exactly the numbers of f32', () => {
  const widened = (bits) => {
    const [exponent, mantissa] = [(bits >> 10) & 31, bits & 1023];
    const size = exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25);
    return bits & 0x8000 ? -size : size;
  };
  let matrices = 0;
  for (const tensor of tensorsOf(SHAPE)) {
    if (!tensor.q) continue;
    matrices++;
    const exact = new Float32Array(bytesOf(tensor, 'f32').buffer);
    const halves = new Uint16Array(bytesOf(tensor, 'f16').buffer);
    for (let i = 0; i < exact.length; i++) {
      assert.equal(widened(halves[i]), exact[i]);
      assert.equal(tensor.q[i] * 2 ** -tensor.exponent, exact[i]);
    }
  }
  assert.equal(matrices, 9);
  assert.throws(() => f16Bits(1 / 3), RangeError);
});

test('the header of the safetensors file covers the file', () => {
  for (const kind of ['f32', 'f16', 'int8']) {
    const [length, json, ...data] = safetensors(SHAPE, kind);
    assert.equal(Number(length.readBigUInt64LE()), json.length);
    const ends = Object.values(JSON.parse(json)).map(({ data_offsets: [, end] }) => end);
    assert.equal(
      Math.max(...ends),
      data.reduce((sum, bytes) => sum + bytes.length, 0),
    );
  }
});

test('tensors of a GGUF file begin where they are aligned, and rows without whole blocks are f16', () => {
  for (const kind of ['f32', 'q8_0']) {
    const parts = gguf(SHAPE, kind);
    const starts = parts.map((_, at) => parts.slice(0, at).reduce((sum, { length }) => sum + length, 0));
    const down = SHAPE.d * SHAPE.ffn * (kind === 'f32' ? 4 : 2);
    const large = parts.flatMap((bytes, at) => (bytes.length >= 256 ? [[starts[at] % 32, bytes.length]] : []));
    for (const [rest] of large) assert.equal(rest, 0);
    assert.ok(large.some(([, length]) => length === down));
  }
});

test('a transposed matrix has its columns as rows', () => {
  const turned = transposed({ rows: 2, columns: 3, q: Int8Array.of(1, 2, 3, 4, 5, 6), exponent: 4 });
  assert.deepEqual(turned, { rows: 3, columns: 2, q: Int8Array.of(1, 4, 2, 5, 3, 6), exponent: 4 });
});

test('prompts hold no special tokens', () => {
  for (const { vocab } of SHAPES) {
    const ids = promptOf(7, 128, vocab);
    assert.ok(ids.every((id) => id > 2 && id < vocab));
    assert.notDeepEqual(ids, promptOf(8, 128, vocab));
  }
});
