/** Several generations side by side: what comes of each is collected here as it arrives. */
import { stepsOf } from './generation.js';
import type { Connection, Methods } from './protocol.js';
import { notify } from './rpc.js';
import type { BatchOptions, BatchResult, FinishReason, GenerationStep } from './types.js';

type Requests = Methods['generateBatch']['args']['requests'];

export async function generateBatch(connection: Connection, requests: Requests, { onStep, signal }: BatchOptions): Promise<BatchResult[]> {
  const made = requests.map(() => ({ steps: [] as GenerationStep[], finish: null as FinishReason | null }));
  const begun = await connection.call(
    'generateBatch',
    { requests },
    {
      signal,
      onEvent: (all) => {
        for (const { number, ...steps } of all) {
          const generation = made[number] as (typeof made)[number];
          generation.finish = steps.finish;
          for (const step of stepsOf(steps)) {
            if (signal?.aborted) return;
            generation.steps.push(step);
            notify((given: GenerationStep) => onStep?.(given, number), step);
          }
        }
      },
    },
  );
  return begun.map(({ seed, promptIds }, number) => {
    const { steps, finish } = made[number] as (typeof made)[number];
    const ids = Uint32Array.from(steps, ({ id }) => id);
    return { promptIds, ids, text: steps.map(({ text }) => text).join(''), steps, finish: finish as FinishReason, seed };
  });
}
