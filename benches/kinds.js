/** The kinds of adapters that the file may have entries for, in its order (crate/src/ops/tuning.rs). */
export const KINDS = ['gpu', 'fallback', 'llvmpipe', 'amd', 'apple', 'arm', 'intel', 'nvidia', 'qualcomm'];
