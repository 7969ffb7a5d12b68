import { topk, readTopK } from '/npm/topk.js';
import { bySorting } from '/bench/numbers.js';

async function device() {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) throw new Error('there is no WebGPU adapter here');
  return adapter.requestDevice({ requiredFeatures: ['subgroups'].filter((name) => adapter.features.has(name)) });
}

const USAGE = () => GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;

function destroy(...buffers) {
  for (const buffer of buffers) buffer.destroy();
}

/** topk() on buffers of the caller. What has no order is put into one after it is timed, so that it can be compared. */
export async function open({ sorted = true } = {}) {
  const gpu = await device();
  return {
    prepare(values, rows, n, k) {
      const input = gpu.createBuffer({ size: values.byteLength, usage: USAGE() });
      gpu.queue.writeBuffer(input, 0, values);
      const { values: best, indices } = topk(gpu, { input, rows, n, k, sorted });
      const out = { values: best, indices };
      return {
        call: () => topk(gpu, { input, rows, n, k, sorted, ...out }),
        wait: () => gpu.queue.onSubmittedWorkDone(),
        read: async () => {
          const { values: found } = await readTopK(gpu, out, { rows, k });
          if (!sorted)
            for (let row = 0; row < rows; row++)
              found
                .subarray(row * k, (row + 1) * k)
                .sort()
                .reverse();
          return found;
        },
        free: () => destroy(input, out.values, out.indices),
      };
    },
    close: () => gpu.destroy(),
  };
}

/** A copy of the input on the device: what reading it once costs. */
export async function openCopy() {
  const gpu = await device();
  return {
    prepare(values) {
      const [input, copy] = [0, 1].map(() => gpu.createBuffer({ size: values.byteLength, usage: USAGE() }));
      return {
        call() {
          const encoder = gpu.createCommandEncoder();
          encoder.copyBufferToBuffer(input, 0, copy, 0, values.byteLength);
          gpu.queue.submit([encoder.finish()]);
        },
        wait: () => gpu.queue.onSubmittedWorkDone(),
        free: () => destroy(input, copy),
      };
    },
    close: () => gpu.destroy(),
  };
}

/** Whole rows sorted in JavaScript. */
export function openSort() {
  return {
    prepare(values, rows, n, k) {
      let order;
      const call = () => {
        order = bySorting(values, rows, n, k);
      };
      const read = () => {
        call();
        return Float32Array.from(order, (index, at) => values[Math.floor(at / k) * n + index]);
      };
      return { call, read, wait() {}, free() {} };
    },
    close() {},
  };
}
