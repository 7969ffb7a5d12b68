/** Flags of the WebGPU specification. Browsers have them as globals, other hosts of a GPUDevice not always. */

export const BufferUsage = { MAP_READ: 0x1, COPY_SRC: 0x4, COPY_DST: 0x8, UNIFORM: 0x40, STORAGE: 0x80 } as const;

export const MAP_READ_MODE = 0x1;

export const COMPUTE_STAGE = 0x4;
