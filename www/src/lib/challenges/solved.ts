/** Which challenges the reader has solved, kept in this browser. */
const KEY = 'topk-lm-solved';

export function readSolved(): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    return Array.isArray(kept) ? kept.filter((id) => typeof id === 'string') : [];
  } catch {
    return []; // storage is forbidden here, or holds something else
  }
}

/** Keeps these too. @returns all that are solved, in other tabs too */
export function keepSolved(ids: readonly string[]): string[] {
  const all = [...new Set([...readSolved(), ...ids])];
  try {
    localStorage.setItem(KEY, JSON.stringify(all));
  } catch {
    // known for this visit only
  }
  return all;
}
