/** Turns of the event loop: some of them, or as many as something takes. */

/** Longest that is waited for (ms): a machine may have much else to do. */
const PATIENCE = 60_000;

export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Waits until something holds: how many turns a read or an answer takes depends on what else the machine does. */
export async function until(holds: () => boolean): Promise<void> {
  for (const end = performance.now() + PATIENCE; !holds() && performance.now() < end; ) await turns(1);
}
