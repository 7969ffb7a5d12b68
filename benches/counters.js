// What a page asks of WebGPU and of its worker: counted at the browser's own interfaces, so that the engine carries nothing for it.
// The twin of the counts by plan (crate/src/bench/counts.rs).

const ZERO = { dispatches: 0, workgroups: 0, barriers: 0, bytes_bound: 0, submits: 0, awaits: 0, messages: 0 };

/** Barriers of `main` as the text has them: each function where it is called, each loop and branch once. */
export function barriers(text) {
  const code = text.replaceAll(/\/\/.*/g, '');
  const functions = new Map();
  for (const part of code.split('\nfn ').slice(1))
    functions.set(part.slice(0, part.indexOf('(')), part.slice(part.indexOf('('), part.indexOf('\n}')));
  const inBody = (body) => {
    let sum = 0;
    for (const [, name] of body.matchAll(/(\w+)\s*\(/g)) {
      if (['workgroupBarrier', 'storageBarrier', 'workgroupUniformLoad'].includes(name)) sum++;
      else if (functions.has(name)) sum += inBody(functions.get(name));
    }
    return sum;
  };
  return inBody(functions.get('main') ?? '');
}

const TIMESTAMPS = 4096;

/** Counts from now on, of what is made from now on. Give it before the engine opens its device. */
export class Counters {
  #counts = { ...ZERO };
  /** Barriers by module and pipeline, storage bytes by bind group, file by pipeline. */
  #barriers = new WeakMap();
  #bytes = new WeakMap();
  #files = new WeakMap();
  #devices = new WeakMap();
  #bound = new WeakMap();
  #ports = new WeakSet();
  #clock = null;

  constructor() {
    const counts = this.#counts;
    const heard = () => counts.messages++;
    for (const port of [globalThis.Worker, globalThis.MessagePort]) {
      this.#wrap(port, 'postMessage', (target) => {
        counts.messages++;
        if (!this.#ports.has(target)) target.addEventListener('message', heard);
        this.#ports.add(target);
      });
    }
    if (!globalThis.GPUAdapter) return;
    const adapter = globalThis.GPUAdapter.prototype;
    const { requestDevice } = adapter;
    adapter.requestDevice = function (descriptor = {}) {
      const timed = this.features.has('timestamp-query') ? ['timestamp-query'] : [];
      return requestDevice.call(this, { ...descriptor, requiredFeatures: [...(descriptor.requiredFeatures ?? []), ...timed] });
    };
    this.#wrap(globalThis.GPUDevice, 'createShaderModule', null, (module, _, [{ code }]) => this.#barriers.set(module, barriers(code)));
    this.#wrap(globalThis.GPUDevice, 'createComputePipeline', null, (pipeline, _, [{ label, compute }]) => {
      this.#barriers.set(pipeline, this.#barriers.get(compute.module) ?? 0);
      this.#files.set(pipeline, label);
    });
    this.#wrap(globalThis.GPUDevice, 'createBindGroup', null, (group, _, [{ entries }]) => {
      // Binding 0 is the uniform.
      const size = ({ binding, resource: { buffer, size, offset = 0 } }) => (binding === 0 || !buffer ? 0 : (size ?? buffer.size - offset));
      this.#bytes.set(
        group,
        [...entries].map(size).reduce((sum, bytes) => sum + bytes, 0),
      );
    });
    this.#wrap(globalThis.GPUDevice, 'createCommandEncoder', null, (encoder, device) => this.#devices.set(encoder, device));
    this.#wrap(globalThis.GPUComputePassEncoder, 'setPipeline', (pass, [pipeline]) =>
      this.#bound.set(pass, { ...this.#bound.get(pass), pipeline }),
    );
    this.#wrap(globalThis.GPUComputePassEncoder, 'setBindGroup', (pass, [, group]) =>
      this.#bound.set(pass, { ...this.#bound.get(pass), group }),
    );
    this.#wrap(globalThis.GPUComputePassEncoder, 'dispatchWorkgroups', (pass, [x, y = 1, z = 1]) => {
      const { pipeline, group } = this.#bound.get(pass) ?? {};
      counts.dispatches++;
      counts.workgroups += x * y * z;
      counts.barriers += this.#barriers.get(pipeline) ?? 0;
      counts.bytes_bound += this.#bytes.get(group) ?? 0;
    });
    this.#wrap(globalThis.GPUQueue, 'submit', (_, [buffers]) => {
      counts.submits += buffers.length > 0 ? 1 : 0;
    });
    this.#wrap(globalThis.GPUBuffer, 'mapAsync', () => {
      counts.awaits++;
    });
    const encoder = globalThis.GPUCommandEncoder.prototype;
    const { beginComputePass } = encoder;
    const begin = (of) => this.#timedPass(of, (descriptor) => beginComputePass.call(of, descriptor));
    const isTimed = () => this.#clock !== null;
    encoder.beginComputePass = function (descriptor) {
      return isTimed() ? begin(this) : beginComputePass.call(this, descriptor);
    };
  }

  /** What was counted since the last call. */
  take() {
    const taken = { ...this.#counts };
    Object.assign(this.#counts, ZERO);
    return taken;
  }

  /** From now on each dispatch has a pass of its own, between two timestamps. */
  startClock() {
    this.#clock = { files: [], set: null, device: null };
  }

  /** Ends that: milliseconds by kernel; `null` where the device has no timestamps. */
  async stopClock() {
    const { files, set, device } = this.#clock;
    this.#clock = null;
    if (!set) return null;
    const size = 16 * files.length;
    const resolved = device.createBuffer({ size, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
    const read = device.createBuffer({ size, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
    const encoder = device.createCommandEncoder();
    encoder.resolveQuerySet(set, 0, 2 * files.length, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, read, 0, size);
    device.queue.submit([encoder.finish()]);
    await read.mapAsync(GPUMapMode.READ);
    const ticks = new BigUint64Array(read.getMappedRange());
    const times = {};
    for (const [number, file] of files.entries())
      times[file] = (times[file] ?? 0) + Number(ticks[2 * number + 1] - ticks[2 * number]) / 1e6;
    for (const done of [resolved, read, set]) done.destroy();
    return times;
  }

  #wrap(type, name, before, after) {
    const original = type?.prototype[name];
    if (!original) return;
    type.prototype[name] = function (...given) {
      before?.(this, given);
      const result = original.apply(this, given);
      after?.(result, this, given);
      return result;
    };
  }

  /** Stands in for a pass: each dispatch becomes a pass of its own. */
  #timedPass(encoder, begin) {
    const clock = this.#clock;
    const device = this.#devices.get(encoder);
    if (!device?.features.has('timestamp-query')) return begin();
    clock.device = device;
    clock.set ??= device.createQuerySet({ type: 'timestamp', count: TIMESTAMPS });
    let pipeline;
    let group;
    return {
      setPipeline: (given) => {
        pipeline = given;
      },
      setBindGroup: (...given) => {
        group = given;
      },
      dispatchWorkgroups: (...grid) => {
        const first = 2 * clock.files.length;
        const fits = first + 2 <= TIMESTAMPS;
        const timestampWrites = { querySet: clock.set, beginningOfPassWriteIndex: first, endOfPassWriteIndex: first + 1 };
        const pass = begin(fits ? { timestampWrites } : {});
        if (fits) clock.files.push(this.#files.get(pipeline));
        pass.setPipeline(pipeline);
        pass.setBindGroup(...group);
        pass.dispatchWorkgroups(...grid);
        pass.end();
      },
      end: () => {},
    };
  }
}
