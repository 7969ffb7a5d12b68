/** The Cache API in memory, as far as the package uses it, with a quota. */

export class FakeCaches {
  /** Bodies by URL, over all caches. */
  entries = new Map<string, Blob>();
  quota = Number.POSITIVE_INFINITY;
  /** How often all keys were listed. */
  listings = 0;
  /** Called before every write. */
  onPut: (url: string) => void = () => {};

  /** As by another tab; what has it open goes on with what is in it. */
  deleteAll(): void {
    this.entries = new Map();
  }

  async match(url: string): Promise<Response | undefined> {
    const blob = this.entries.get(url);
    return blob && new Response(blob);
  }

  async open(): Promise<unknown> {
    const { entries } = this;
    return {
      match: async (url: string) => {
        const blob = entries.get(url);
        return blob && new Response(blob);
      },
      put: async (url: string, response: Response) => {
        this.onPut(url);
        const blob = await response.blob();
        if (this.bytes() + blob.size > this.quota) throw new DOMException('Quota exceeded.', 'QuotaExceededError');
        entries.set(url, blob);
      },
      delete: async (url: string) => entries.delete(url),
      keys: async () => {
        this.listings++;
        return [...entries.keys()].map((url) => ({ url }));
      },
    };
  }

  bytes(): number {
    let sum = 0;
    for (const blob of this.entries.values()) sum += blob.size;
    return sum;
  }

  /** Keys that begin with `file/` or `part/`. */
  keys(kind: string): string[] {
    return [...this.entries.keys()].map((url) => new URL(url).pathname.slice(1)).filter((key) => key.startsWith(`${kind}/`));
  }
}

/** Makes `caches` the global Cache API until the test ends. */
export function installCaches(test: { after(done: () => void): void }): FakeCaches {
  const fake = new FakeCaches();
  (globalThis as { caches?: unknown }).caches = fake;
  test.after(() => {
    delete (globalThis as { caches?: unknown }).caches;
  });
  return fake;
}
