/** SHA-256, which tells whose bytes they are, and a checksum, which tells whether they changed; as hex. */

/** Whether SHA-256 can be computed here: `crypto.subtle` exists in secure contexts only. */
export function canHash(): boolean {
  return typeof crypto !== 'undefined' && typeof (crypto as Partial<Crypto>).subtle !== 'undefined';
}

export async function sha256(bytes: BufferSource): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** A prime close to 2³² over the golden ratio. */
const PRIME = 0x9e3779b1;

/**
 * 128 bits: four sums, each of every fourth word of 32 bits, as FNV-1a makes them, with a rotation that brings what changes above back below. A step can
 * be undone, so one changed word always changes its sum. Chromium computes SHA-256 on the thread that asks, at half a GB/s; this reads three.
 */
export function checksum(bytes: Uint8Array): string {
  const isAligned = bytes.length % 16 === 0 && bytes.byteOffset % 4 === 0;
  const whole = isAligned ? bytes : new Uint8Array(Math.ceil(bytes.length / 16) * 16);
  if (!isAligned) whole.set(bytes);
  const words = new Int32Array(whole.buffer, whole.byteOffset, whole.length / 4);
  const sums = new Int32Array([1, 2, 3, bytes.length]);
  // A function that is called often, over little, has its good code soon.
  for (let from = 0; from < words.length; from += SLICE) add(sums, words, from, Math.min(words.length, from + SLICE));
  return Array.from(new Uint32Array(sums.buffer), (sum) => sum.toString(16).padStart(8, '0')).join('');
}

/** Words that are added at once. */
const SLICE = 1 << 14;

function add(sums: Int32Array, words: Int32Array, from: number, to: number): void {
  let [a, b, c, d] = sums as unknown as [number, number, number, number];
  for (let at = from; at < to; at += 4) {
    a = Math.imul(a ^ (words[at] as number), PRIME);
    b = Math.imul(b ^ (words[at + 1] as number), PRIME);
    c = Math.imul(c ^ (words[at + 2] as number), PRIME);
    d = Math.imul(d ^ (words[at + 3] as number), PRIME);
    a = (a << 13) | (a >>> 19);
    b = (b << 13) | (b >>> 19);
    c = (c << 13) | (c >>> 19);
    d = (d << 13) | (d >>> 19);
  }
  sums.set([a, b, c, d]);
}
