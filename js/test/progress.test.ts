import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteProgress } from '../src/progress.ts';

test('what the cache held is reported to its last byte, however soon the network goes on', () => {
  const reports: [number, boolean][] = [];
  const progress = new ByteProgress('download', 200, ({ loadedBytes, fromCache }) => reports.push([loadedBytes, fromCache]));
  progress.update('config.json', 10, true);
  progress.update('model.safetensors', 60, true); // within the least time between two reports
  progress.update('model.safetensors', 61);
  progress.update('model.safetensors', 90);
  assert.deepEqual(reports, [
    [10, true],
    [70, true],
  ]);
  progress.fileDone(null);
  assert.deepEqual(reports.at(-1), [100, false]);
});
