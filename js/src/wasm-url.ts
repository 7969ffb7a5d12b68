/** The engine's file, next to this script, as the host sees it; as in `beside.ts`, bundlers look for this expression. */
export function wasmUrl(): string {
  return new URL('./topk_lm_bg.wasm', import.meta.url).href;
}
