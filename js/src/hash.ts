/** SHA-256, as hex. */

/** Whether it can be computed here: `crypto.subtle` exists in secure contexts only. */
export function canHash(): boolean {
  return typeof crypto !== 'undefined' && typeof (crypto as Partial<Crypto>).subtle !== 'undefined';
}

export async function sha256(bytes: BufferSource): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
