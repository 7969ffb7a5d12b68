import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromText, trusted } from '../src/worker-script.ts';

test('where only trusted types start a worker, no address of its script is left behind', (t) => {
  const realm = globalThis as { Worker?: unknown; trustedTypes?: unknown };
  const alive = new Set<string>();
  t.mock.method(URL, 'createObjectURL', () => {
    const url = `blob:${alive.size}`;
    alive.add(url);
    return url;
  });
  t.mock.method(URL, 'revokeObjectURL', (url: string) => alive.delete(url));
  realm.Worker = class extends EventTarget {
    constructor(url: unknown) {
      super();
      if (typeof url === 'string') throw new TypeError("This document requires 'TrustedScriptURL' assignment.");
    }
  };
  realm.trustedTypes = { createPolicy: () => ({ createScriptURL: (url: string) => ({ url }) }) };
  t.after(() => {
    delete realm.Worker;
    delete realm.trustedTypes;
  });
  const [script] = fromText('', 'here', 'module');
  assert.ok(script);
  const worker = trusted(script.start);
  assert.equal(alive.size, 1, 'until it has started');
  worker.dispatchEvent(new Event('message'));
  assert.equal(alive.size, 0);
});
