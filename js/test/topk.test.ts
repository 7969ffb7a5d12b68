import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { TopKArgumentError } from '../src/errors.ts';
import { type Pass, type Profile, passes, rowsAtOnce, type Tuning } from '../src/topk/plan.ts';
import { topkPlan } from '../src/generated/shaders.ts';
import { createTopK, readTopK, topk } from '../src/topk.ts';

interface Vector {
  profile: Profile;
  subgroups: boolean;
  rows: number;
  n: number;
  k: number;
  max_binding: number;
  rows_at_once: number | null;
  passes: Pass[];
}

const tuningOf = (profile: Profile, subgroups = false): Tuning => {
  const tuning = topkPlan.profiles[profile];
  return subgroups ? tuning : { ...tuning, lanes_most: 0 };
};

const vectors: Vector[] = JSON.parse(fs.readFileSync('tests/topk_plan_vectors.json', 'utf8'));

test('plans are those of the vectors, which the Rust twin is tested on too', () => {
  assert.ok(vectors.length >= 30);
  for (const { profile, subgroups, rows, n, k, max_binding, rows_at_once, passes: expected } of vectors) {
    const shape = JSON.stringify({ profile, subgroups, rows, n, k, max_binding });
    const tuning = tuningOf(profile, subgroups);
    if (rows_at_once === null) assert.throws(() => rowsAtOnce(rows, n, k, max_binding, tuning), TopKArgumentError, shape);
    else assert.equal(rowsAtOnce(rows, n, k, max_binding, tuning), rows_at_once, shape);
    assert.deepEqual(passes(rows_at_once ?? rows, n, k, tuning), expected, shape);
  }
});

test('without order, the passes that sort are left out', () => {
  let left = 0;
  let unranked = 0;
  for (const { profile, subgroups, rows, n, k, passes: expected } of vectors) {
    const unsorted = expected.filter(({ kernel }) => kernel !== 'sort' && kernel !== 'step');
    // By subgroups, the last pass does not rank.
    const found = unsorted.map((pass) => (pass.kernel === 'lanes' ? { ...pass, run: 0, threads: 32 * pass.padded } : pass));
    assert.deepEqual(passes(expected[0]?.rows ?? rows, n, k, tuningOf(profile, subgroups), false), found);
    left += expected.length - unsorted.length;
    unranked += unsorted.filter(({ kernel, run }) => kernel === 'lanes' && run === 1).length;
  }
  assert.ok(left > 0 && unranked > 0);
});

/** Of a device that lacks nothing. */
const SCOPES = { pushErrorScope() {}, popErrorScope: async () => null };

/** A device that records which calls it gets: enough for what is refused before anything is recorded. */
function fakeDevice() {
  const made: unknown[] = [];
  const device = {
    limits: { maxStorageBufferBindingSize: 1 << 20, maxBufferSize: 1 << 22, minStorageBufferOffsetAlignment: 256 },
    createBuffer: (descriptor: { size: number }) => made.push(descriptor) && descriptor,
    ...SCOPES,
  };
  return { device: device as unknown as GPUDevice, made };
}

const buffer = (size: number, usage = 0x80) => ({ size, usage }) as GPUBuffer;

test('wrong arguments are refused before anything is created', () => {
  const { device, made } = fakeDevice();
  const input = buffer(24);
  const fine = { input, rows: 2, n: 3, k: 2 };
  const cases: [object, RegExp][] = [
    [{ k: 4 }, /^k is 4, but a row has only 3 values/],
    [{ k: -1 }, /^k is -1/],
    [{ k: 1.5 }, /^k is 1.5/],
    [{ rows: Number.NaN }, /^rows is NaN/],
    [{ rows: 3 }, /^input has 24 bytes, but needs 36/],
    [{ input: buffer(24, 0x4) }, /^input needs the usage GPUBufferUsage.STORAGE/],
    [{ input: undefined }, /^input must be a GPUBuffer/],
    [{ inputOffset: 100 }, /^inputOffset is 100, but must be a multiple of 256\.$/],
    [{ inputOffset: -256 }, /^inputOffset is -256, but/],
    [{ inputOffset: '256' }, /^inputOffset is "256", but/],
    [{ inputOffset: null }, /^inputOffset is null, but/],
    [{ inputOffset: Number.NaN }, /^inputOffset is NaN, but/],
    [{ inputOffset: 256 }, /^input has 24 bytes, but needs 280/],
    [{ values: buffer(15) }, /^values has 15 bytes, but needs 16/],
    [{ encoder: {} }, /^encoder must be a GPUCommandEncoder/],
    [{ indices: input }, /three different buffers/],
    [{ select: 'magnitude' }, /^select is "magnitude"/],
    [{ sorted: 'no' }, /^sorted is "no", but must be true or false/],
  ];
  for (const [wrong, message] of cases) {
    assert.throws(
      () => topk(device, { ...fine, ...wrong }),
      (error: unknown) => {
        assert.ok(error instanceof TopKArgumentError);
        assert.equal(error.code, 'argument');
        assert.match(error.message, message);
        return true;
      },
    );
  }
  assert.equal(made.length, 0);
});

/** Such calls would succeed, with zeros for results: WebGPU tells what is invalid to nobody who waits for it. */
test('results that a device cannot hold or give back are refused', async () => {
  const { device, made } = fakeDevice();
  const refused = (message: RegExp) => (error: unknown) => error instanceof TopKArgumentError && message.test(error.message);
  const large = { input: buffer(4 << 20), rows: 1 << 20, n: 1, k: 1 };
  assert.equal(topk(device, { ...large, rows: 0 }).values.size, 4);
  made.length = 0;
  const small = { ...device, limits: { ...device.limits, maxBufferSize: (4 << 20) - 1 } } as GPUDevice;
  assert.throws(() => topk(small, large), refused(/^rows and k need a buffer of 4194304 bytes, but this device has at most 4194303\.$/));
  const read = (values: GPUBuffer, indices: GPUBuffer, rows: number) => readTopK(device, { values, indices }, { rows, k: 2 });
  const whole = buffer(16, 0x4);
  await assert.rejects(async () => read(whole, whole, 3), refused(/^values has 16 bytes, but needs 24\.$/));
  await assert.rejects(async () => read(whole, buffer(16), 2), refused(/^indices needs the usage GPUBufferUsage\.COPY_SRC\.$/));
  const most = buffer(4 << 20, 0x4);
  await assert.rejects(async () => read(most, most, 1 << 19), refused(/^rows and k need a buffer of 8388608 bytes/));
  assert.equal(made.length, 0);
});

test('a row that no binding holds: what it needs', () => {
  const tuning = tuningOf('gpu');
  assert.throws(() => rowsAtOnce(1, 1000, 3, 400, tuning), /^TopKArgumentError: 1 × 1000 values with k = 3 need a binding of 4000 bytes/);
  assert.throws(() => rowsAtOnce(100, 1000, 3, 400, tuning), /: 64 × 1000 values with k = 3 need a binding of 256000 bytes/);
});

test('unknown options of the operator are refused, with the one that was meant', async () => {
  const { device, made } = fakeDevice();
  const fine = { input: buffer(24), rows: 2, n: 3, k: 2 };
  const result = { values: buffer(16), indices: buffer(16) };
  const refused = (message: RegExp) => (error: unknown) => error instanceof TopKArgumentError && message.test(error.message);
  const meant = refused(/^"sort" is no option of topk; did you mean sorted\?$/);
  assert.throws(() => topk(device, { ...fine, sort: true } as typeof fine), meant);
  const operator = createTopK(device);
  assert.throws(() => operator.run({ ...fine, sort: true } as typeof fine), meant);
  await assert.rejects(operator.prepare(fine), refused(/^"input" is no option of prepare; there are rows, n, k, select, sorted\.$/));
  await assert.rejects(
    async () => readTopK(device, result, { rows: 2, k: 2, row: 1 } as { rows: number; k: number }),
    refused(/^"row" is no option of readTopK; did you mean rows\?$/),
  );
  assert.equal(made.length, 0);
});

test('k = 0 gives empty results without a dispatch', () => {
  const { device, made } = fakeDevice();
  const { values, indices } = createTopK(device).run({ input: buffer(24), rows: 2, n: 3, k: 0 });
  assert.equal(made.length, 2);
  assert.notEqual(values, indices);
});

test('what takes subgroups is for devices that have them, of 32 lanes or more where they are real', () => {
  const kernels = (features: string[], adapterInfo: object, profile?: Profile | Tuning) => {
    const found: (string | undefined)[] = [];
    const pass = { setPipeline() {}, setBindGroup() {}, dispatchWorkgroups() {}, end() {} };
    const device = {
      limits: { maxStorageBufferBindingSize: 1 << 20, minStorageBufferOffsetAlignment: 256 },
      features: new Set(features),
      adapterInfo,
      queue: { submit() {} },
      createBuffer: () => ({ getMappedRange: () => new ArrayBuffer(64), unmap() {}, destroy() {} }),
      createComputePipeline: ({ label }: { label?: string }) => found.push(label),
      createCommandEncoder: () => ({ beginComputePass: () => pass, finish() {} }),
      ...SCOPES,
      ...Object.fromEntries(
        ['createPipelineLayout', 'createBindGroupLayout', 'createShaderModule', 'createBindGroup'].map((name) => [name, () => ({})]),
      ),
    };
    createTopK(device as unknown as GPUDevice, profile).run({ input: buffer(400), rows: 1, n: 100, k: 2 });
    return found;
  };
  const lanes = ['topk_lanes'];
  const others = ['topk_select'];
  assert.deepEqual(kernels(['subgroups'], { vendor: 'nvidia', subgroupMinSize: 32 }), lanes);
  assert.deepEqual(kernels(['subgroups'], { vendor: 'apple', subgroupMinSize: 4 }), lanes);
  assert.deepEqual(kernels(['subgroups'], { isFallbackAdapter: true, subgroupMinSize: 4 }, 'gpu'), lanes);
  assert.deepEqual(kernels([], { vendor: 'nvidia', subgroupMinSize: 32 }), others);
  assert.deepEqual(kernels(['subgroups'], { vendor: 'intel', subgroupMinSize: 8 }), others);
  assert.deepEqual(kernels(['subgroups'], { vendor: 'nobody' }), others);
  const { lanes_most: _, ...before } = topkPlan.profiles.gpu;
  assert.deepEqual(kernels(['subgroups'], { subgroupMinSize: 32 }, before as Tuning), others, 'constants as they were in 0.1');
});

test('an adapter gets the constants of its kind; where there are none, or no name, those of any GPU', () => {
  const threads = (adapterInfo: object | undefined, profile?: Profile | Tuning) => {
    const found: number[] = [];
    const pass = { setPipeline() {}, setBindGroup() {}, dispatchWorkgroups() {}, end() {} };
    const device = {
      limits: { maxStorageBufferBindingSize: 1 << 20, minStorageBufferOffsetAlignment: 256 },
      adapterInfo,
      queue: { submit() {} },
      createBuffer: () => ({ getMappedRange: () => new ArrayBuffer(64), unmap() {}, destroy() {} }),
      createComputePipeline: ({ compute }: { compute: { constants: { threads: number } } }) => found.push(compute.constants.threads),
      createCommandEncoder: () => ({ beginComputePass: () => pass, finish() {} }),
      ...SCOPES,
      ...Object.fromEntries(
        ['createPipelineLayout', 'createBindGroupLayout', 'createShaderModule', 'createBindGroup'].map((name) => [name, () => ({})]),
      ),
    };
    createTopK(device as unknown as GPUDevice, profile).run({ input: buffer(400), rows: 1, n: 100, k: 2 });
    return found[0];
  };
  const { gpu, fallback } = topkPlan.profiles;
  assert.notEqual(gpu.threads, fallback.threads);
  assert.equal(threads({ isFallbackAdapter: true, vendor: 'google' }), fallback.threads);
  for (const info of [undefined, {}, { vendor: '' }, { vendor: 'nobody' }, { vendor: 'toString' }])
    assert.equal(threads(info), gpu.threads);
  for (const [kind, { threads: own }] of Object.entries(topkPlan.profiles)) assert.equal(threads({ vendor: kind }), own);
  assert.equal(threads({ isFallbackAdapter: true }, 'gpu'), gpu.threads);
  assert.equal(threads({}, { ...gpu, threads: 32 }), 32);
  assert.throws(
    () => threads({}, 'none' as Profile),
    (error: unknown) => error instanceof TopKArgumentError && /one of gpu, fallback/.test(error.message),
  );
});

test('what is kept from call to call is not destroyed before the commands that use it are submitted', () => {
  interface Made {
    destroyed?: boolean;
  }
  let used: Made[] = [];
  let submitted = 0;
  const pass = { setPipeline() {}, setBindGroup: (_: number, group: Made[]) => used.push(...group), dispatchWorkgroups() {}, end() {} };
  const device = {
    limits: { maxStorageBufferBindingSize: 1 << 27, maxBufferSize: 1 << 28, minStorageBufferOffsetAlignment: 256 },
    createBuffer: () => {
      const made: Made = {};
      return { getMappedRange: () => new ArrayBuffer(64), unmap() {}, destroy: () => (made.destroyed = true), made };
    },
    createBindGroup: ({ entries }: { entries: { resource: { buffer: { made?: Made } } }[] }) =>
      entries.map(({ resource }) => resource.buffer.made ?? {}),
    createCommandEncoder: () => ({ beginComputePass: () => pass, finish() {} }),
    queue: {
      submit() {
        submitted++;
        assert.ok(
          used.length > 0 && used.every(({ destroyed }) => !destroyed),
          'a buffer was destroyed before its commands were submitted',
        );
        used = [];
      },
    },
    ...SCOPES,
    ...Object.fromEntries(
      ['createPipelineLayout', 'createBindGroupLayout', 'createShaderModule', 'createComputePipeline'].map((name) => [name, () => ({})]),
    ),
  };
  const caller = () => {
    const operator = createTopK(device as unknown as GPUDevice, 'gpu');
    return (rows: number, n: number, k: number) => operator.run({ input: buffer(4 * rows * n), rows, n, k });
  };
  const large = 600_000;
  assert.ok(passes(1, large, large, tuningOf('gpu')).length > 64, 'more passes in one call than uniforms are kept');
  caller()(1, large, large);
  const call = caller();
  const n = 1 << 18;
  for (let k = 64; k > 0; k--) call(128, n, k);
  assert.equal(rowsAtOnce(129, n, 64, device.limits.maxStorageBufferBindingSize, tuningOf('gpu')), 128);
  call(129, n, 64); // the shape of its first rows is the one that was kept longest, that of the last row is new
  assert.equal(submitted, 66);
});
