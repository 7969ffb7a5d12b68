/** topk-lm/bundle: the package in one file. Everything is as in `topk-lm`; worker and engine are inside. */
export * from './index.js';
