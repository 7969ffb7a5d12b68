/** The checksum by which stored bytes are known again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checksum } from '../src/hash.ts';
import { pattern } from './support/server.ts';

test('records that are stored stay good: the checksum is the same in every version', () => {
  assert.equal(checksum(new Uint8Array(0)), '00000001000000020000000300000000');
  assert.equal(checksum(pattern(100_003)), 'd63835d15fe68b24d2c3fa8d4cc8692d');
});

/** The four sums in integers without a bound. */
function sums(bytes: Uint8Array): bigint[] {
  const found = [1n, 2n, 3n, BigInt(bytes.length)];
  const padded = new DataView(new ArrayBuffer(Math.ceil(bytes.length / 16) * 16));
  new Uint8Array(padded.buffer).set(bytes);
  for (let at = 0; at < padded.byteLength; at += 4) {
    const sum = (((found[(at / 4) % 4] as bigint) ^ BigInt(padded.getUint32(at, true))) * 0x9e3779b1n) & 0xffffffffn;
    found[(at / 4) % 4] = ((sum << 13n) | (sum >> 19n)) & 0xffffffffn;
  }
  return found;
}

test('it is what its description says, wherever bytes lie in their buffer', () => {
  for (const length of [1, 15, 16, 17, 4096, 70_001]) {
    const bytes = pattern(length);
    const expected = sums(bytes)
      .map((sum) => sum.toString(16).padStart(8, '0'))
      .join('');
    assert.equal(checksum(bytes), expected, `${length} bytes`);
    for (const offset of [3, 8]) {
      const inside = new Uint8Array(length + 20).fill(7).subarray(offset, offset + length);
      inside.set(bytes);
      assert.equal(checksum(inside), expected, `${length} bytes from ${offset} on`);
    }
  }
});

test('a changed byte, zeros at the end, and words that change places change it', () => {
  const bytes = pattern(1000);
  const before = checksum(bytes);
  for (let at = 0; at < bytes.length; at++) {
    const changed = bytes.slice();
    changed[at] = (changed[at] as number) ^ 1;
    assert.notEqual(checksum(changed), before, `byte ${at}`);
  }
  const longer = new Uint8Array(1001);
  longer.set(bytes);
  assert.notEqual(checksum(longer), before);
  const swapped = bytes.slice();
  swapped.set(bytes.subarray(0, 16), 16);
  swapped.set(bytes.subarray(16, 32), 0);
  assert.notEqual(checksum(swapped), before);
});
