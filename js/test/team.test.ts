import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createError, TopKDeviceError } from '../src/errors.ts';
import type { Connection } from '../src/protocol.ts';
import { Team } from '../src/team.ts';

test('a thread that stops once it is there is a lost device, whatever stopped it', async () => {
  for (const cause of [createError('internal', 'unreachable'), createError('worker', 'The worker stopped working (odd).')]) {
    let stop!: (error: Error) => void;
    const member = {
      call: (_method: string, _args: unknown, { onEvent }: { onEvent(): void }) => {
        onEvent();
        return new Promise((_, reject) => {
          stop = reject;
        });
      },
      close: () => {},
    } as unknown as Connection;
    let lost!: (reason: Error) => void;
    const ended = new Promise<Error>((resolve) => {
      lost = resolve;
    });
    const team = new Team(1, async () => member, lost);
    const { port } = team.request;
    const joined = new Promise((resolve) => {
      port.onmessage = ({ data }) => resolve(data);
    });
    port.postMessage({});
    assert.equal(await joined, true);
    stop(cause);
    const reason = await ended;
    assert.ok(reason instanceof TopKDeviceError);
    assert.equal(reason.code, 'device-lost');
    assert.match(reason.message, /load the model again/);
    assert.equal(reason.cause, cause);
    team.close(reason);
    port.close();
  }
});
