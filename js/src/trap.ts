/** What a trap is, and whose one is that nobody caught. */

/** Whether an error left the engine in the middle of a call: a trap, or a stack that overflowed. */
export function isTrap(error: unknown): error is Error {
  return error instanceof WebAssembly.RuntimeError || (error instanceof Error && /call stack size|too much recursion/.test(error.message));
}

/** What the engine's frames have in a stack and, where browsers tell modules apart, those of other modules have not. */
let own = 'wasm-function[';

/** Learns that from a call that the engine makes. */
export function calledByEngine(): void {
  own = /[^\s(@]+wasm-function\[/.exec(String(new Error().stack))?.[0] ?? own;
}

/** Whether a trap that nobody caught is the engine's. One whose stack shows no frames counts, too: the calls that wait for it would hang. */
export function isOwnTrap(error: unknown): boolean {
  if (!isTrap(error)) return false;
  const stack = String(error.stack);
  return stack.includes(own) || !/\n\s*at |@/.test(stack);
}
