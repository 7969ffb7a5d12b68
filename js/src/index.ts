/** topk-lm: TopK language models in the browser, run, read and steered. */
export { TopKLM, type Tokenizer } from './model.js';
export type { Generation } from './generation.js';
export { clearCache } from './storage.js';
export {
  TopKAbortError,
  TopKArgumentError,
  TopKDeviceError,
  TopKDisposedError,
  TopKDownloadError,
  TopKError,
  TopKModelError,
  TopKWorkerError,
  type ErrorCode,
} from './errors.js';
export { Features, type FeatureOptions, type FileOptions } from './features.js';
export type * from './features/types.js';
export type * from './types.js';
