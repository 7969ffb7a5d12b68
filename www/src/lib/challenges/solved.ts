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

export function keepSolved(ids: readonly string[]): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(ids));
  } catch {
    // known for this visit only
  }
}
