/** The files of a model as the wasm module reads them, from where the engine keeps them: downloaded once, and verified alike. */
import { Features } from 'topk-lm/features';
import type { GivenModel } from './messages';

const INDEX = 'model.safetensors.index.json';
const WEIGHTS = 'model.safetensors';

/** What `crate/src/wasm/source.rs` reads. */
export interface WasmSource {
  size(path: string): number | undefined;
  read(path: string, offset: number, length: number): Promise<Uint8Array>;
}

export async function readModel(model: GivenModel, signal: AbortSignal): Promise<WasmSource> {
  const folder = Features.open(model);
  const files = new Map<string, Blob>();
  const take = async (path: string): Promise<Blob | undefined> => {
    const file = await folder.file(path, { signal });
    if (file) files.set(path, file);
    return file;
  };
  for (const path of ['config.json', 'generation_config.json', 'tokenizer.json']) await take(path);
  for (const path of await weightFiles(take)) await take(path);
  return {
    size: (path) => files.get(path)?.size,
    read: async (path, offset, length) =>
      new Uint8Array(
        await files
          .get(path)!
          .slice(offset, offset + length)
          .arrayBuffer(),
      ),
  };
}

/** The files that hold the weights; the list of shards is read where there is one. */
export async function weightFiles(file: (path: string) => Promise<Blob | undefined>): Promise<string[]> {
  if (await file(WEIGHTS)) return [WEIGHTS];
  const index = await file(INDEX);
  const { weight_map: shards = {} } = index ? (JSON.parse(await index.text()) as { weight_map?: Record<string, string> }) : {};
  return [...new Set(Object.values(shards))].sort();
}
