import { runtime } from '/adapters/onnxruntime.js';

/** @param {{backend: 'webgpu' | 'wasm', models: string}} options `models`: where TopK-{rows}-{n}-{k}.onnx are */
export async function open({ backend, models }) {
  const ort = await runtime(backend);
  const onGpu = backend === 'webgpu';
  return {
    async prepare(values, rows, n, k) {
      const session = await ort.InferenceSession.create(`${models}TopK-${rows}-${n}-${k}.onnx`, {
        executionProviders: [backend],
        logSeverityLevel: 3,
        preferredOutputLocation: onGpu ? 'gpu-buffer' : 'cpu',
      });
      const device = onGpu ? await ort.env.webgpu.device : null;
      const buffer = device?.createBuffer({
        size: values.byteLength,
        usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
      });
      device?.queue.writeBuffer(buffer, 0, values);
      const x = onGpu
        ? ort.Tensor.fromGpuBuffer(buffer, { dataType: 'float32', dims: [rows, n] })
        : new ort.Tensor('float32', values, [rows, n]);
      const dispose = (found) => {
        for (const tensor of Object.values(found)) tensor.dispose();
      };
      return {
        call: async () => dispose(await session.run({ x })),
        wait: () => device?.queue.onSubmittedWorkDone(),
        async read() {
          const found = await session.run({ x });
          const read = await found.values.getData();
          dispose(found);
          return read;
        },
        async free() {
          buffer?.destroy();
          await session.release();
        },
      };
    },
    close() {},
  };
}
