// Nearest neighbors by inner product, on the GPU: one kernel for the scores, and topk-lm's TopK over them.
import { createTopK, readTopK } from 'topk-lm/topk';

const THREADS = 64;

/** One thread for each vector and query: scores [queries, count] from vectors [count, width] and queries [queries, width], width a multiple of 4. */
const SCORES = /* wgsl */ `
  override quads: u32; // width / 4
  @group(0) @binding(0) var<storage, read> vectors: array<vec4<f32>>;
  @group(0) @binding(1) var<storage, read> queries: array<vec4<f32>>;
  @group(0) @binding(2) var<storage, read_write> scores: array<f32>;

  @compute @workgroup_size(${THREADS})
  fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let count = arrayLength(&vectors) / quads;
    if (id.x >= count) { return; }
    var sum = 0.0;
    for (var at = 0u; at < quads; at++) {
      sum += dot(vectors[id.x * quads + at], queries[id.y * quads + at]);
    }
    scores[id.y * count + id.x] = sum;
  }
`;

/**
 * Puts vectors, f32 [count, width], on the device. `search(queries, k)` takes f32 [queries, width] and resolves to the k best for each query, best
 * first: `{indices, values}`, both [queries, k]. Vectors, queries and scores have to fit into one binding of the device each. Vectors of unit length make
 * the values cosines.
 */
export async function createIndex(device, vectors, width) {
  const { STORAGE, COPY_DST } = GPUBufferUsage; // not there without WebGPU
  const count = vectors.length / width;
  const { maxStorageBufferBindingSize, maxComputeWorkgroupsPerDimension } = device.limits;
  const mostVectors = Math.min(maxComputeWorkgroupsPerDimension * THREADS, Math.floor(maxStorageBufferBindingSize / (width * 4)));
  if (count > mostVectors) throw new RangeError(`There are ${count} vectors, but this device searches at most ${mostVectors}.`);
  const upload = (data) => {
    const buffer = device.createBuffer({ size: data.byteLength, usage: STORAGE | COPY_DST });
    device.queue.writeBuffer(buffer, 0, data);
    return buffer;
  };
  const stored = upload(vectors);
  const operator = createTopK(device);
  const pipeline = await device.createComputePipelineAsync({
    layout: 'auto',
    compute: { module: device.createShaderModule({ code: SCORES }), constants: { quads: width / 4 } },
  });

  async function search(queries, k) {
    const rows = queries.length / width;
    const most = Math.min(maxComputeWorkgroupsPerDimension, Math.floor(maxStorageBufferBindingSize / (Math.max(count, width) * 4)));
    if (rows > most) throw new RangeError(`There are ${rows} queries, but this device scores at most ${most} at once.`);
    const asked = upload(queries);
    const scores = device.createBuffer({ size: rows * count * 4, usage: STORAGE });
    const made = [asked, scores];
    try {
      const entries = [stored, asked, scores].map((buffer, binding) => ({ binding, resource: { buffer } }));
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
      pass.dispatchWorkgroups(Math.ceil(count / THREADS), rows);
      pass.end();
      // Both in one submission; the scores never leave the device.
      const best = operator.run({ input: scores, rows, n: count, k, encoder });
      made.push(best.values, best.indices);
      device.queue.submit([encoder.finish()]);
      best.release();
      return await readTopK(device, best, { rows, k });
    } finally {
      for (const buffer of made) buffer.destroy();
    }
  }

  function destroy() {
    operator.destroy();
    stored.destroy();
  }

  return { search, destroy };
}
