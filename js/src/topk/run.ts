/** Records the passes of a plan on a device; keeps pipelines, layouts and small uniforms from call to call. */
import { shaders } from '../generated/shaders.js';
import { BufferUsage, COMPUTE_STAGE } from './constants.js';
import { type Kernel, type Pass, type Slot, type Tuning, passes, wordsOf } from './plan.js';

const UNIFORM_BYTES = 64;
/** Uniforms kept for calls of the same shape. */
const UNIFORMS_KEPT = 64;
/** WebGPU's guaranteed limit of workgroups in one dimension. */
const MOST_GROUPS = 65535;

/** Part of a buffer, in bytes. */
interface Span {
  buffer: GPUBuffer;
  offset: number;
  size: number;
}

/** Where the rows of one recording lie. */
export interface Rows {
  input: Span;
  values: Span;
  indices: Span;
}

/** How a call ranks, and whether its results come in order. */
export interface How {
  abs: boolean;
  sorted: boolean;
}

export class Runner {
  readonly #device: GPUDevice;
  readonly tuning: Tuning;
  readonly #modules = new Map<Kernel, GPUShaderModule>();
  readonly #layouts = new Map<Kernel, GPUBindGroupLayout>();
  readonly #pipelines = new Map<string, GPUComputePipeline>();
  readonly #uniforms = new Map<string, GPUBuffer>();

  constructor(device: GPUDevice, tuning: Tuning) {
    this.#device = device;
    this.tuning = tuning;
  }

  /** Compiles what calls of this shape need, without a stall. */
  async prepare(rows: number, n: number, k: number, { abs, sorted }: How): Promise<void> {
    await Promise.all(
      passes(rows, n, k, this.tuning, sorted).map(async (pass) => {
        const key = pipelineKey(pass, abs);
        if (this.#pipelines.has(key)) return;
        const pipeline = await this.#device.createComputePipelineAsync(this.#descriptor(pass, abs));
        this.#pipelines.set(key, pipeline);
      }),
    );
  }

  /**
   * Records TopK of `rows` rows. Buffers that the work needs for itself go into `scratch`: destroy them once it is submitted.
   * `submitted`: it will be right after this call, so that uniforms may be kept for others.
   */
  record(
    encoder: GPUCommandEncoder,
    shape: [rows: number, n: number, k: number],
    { abs, sorted }: How,
    at: Rows,
    submitted: boolean,
  ): GPUBuffer[] {
    const plan = passes(...shape, this.tuning, sorted);
    const scratch: GPUBuffer[] = [];
    const slots = new Map<Slot, Span[]>([
      ['input', [at.input, at.input]], // where positions are indices, nothing is read from a list of them
      ['result', [at.values, at.indices]],
    ]);
    const storage = (words: number): Span => {
      const size = words * 4;
      const buffer = this.#device.createBuffer({ size, usage: BufferUsage.STORAGE });
      scratch.push(buffer);
      return { buffer, offset: 0, size };
    };
    for (const pass of plan) {
      if (slots.has(pass.to)) continue;
      const words = wordsOf(pass);
      const isTwo = pass.to === 'even' || pass.to === 'odd';
      slots.set(pass.to, isTwo ? [storage(words), storage(words)] : [storage(words)]);
    }
    const compute = encoder.beginComputePass();
    for (const pass of plan) {
      const uniform = this.#uniform(pass, submitted, scratch);
      const spans = spansOf(pass, slots);
      compute.setPipeline(this.#pipeline(pass, abs));
      compute.setBindGroup(0, this.#group(pass.kernel, uniform, spans));
      const x = Math.min(pass.groups, MOST_GROUPS);
      compute.dispatchWorkgroups(x, Math.ceil(pass.groups / x));
    }
    compute.end();
    return scratch;
  }

  /** Destroys what is kept. */
  destroy(): void {
    for (const buffer of this.#uniforms.values()) buffer.destroy();
    this.#uniforms.clear();
  }

  #pipeline(pass: Pass, abs: boolean): GPUComputePipeline {
    const key = pipelineKey(pass, abs);
    let pipeline = this.#pipelines.get(key);
    if (!pipeline) {
      pipeline = this.#device.createComputePipeline(this.#descriptor(pass, abs));
      this.#pipelines.set(key, pipeline);
    }
    return pipeline;
  }

  #descriptor(pass: Pass, abs: boolean): GPUComputePipelineDescriptor {
    const { kernel } = pass;
    const constants = Object.fromEntries(constantsOf(pass, abs));
    return {
      label: `topk_${kernel}`,
      layout: this.#device.createPipelineLayout({ bindGroupLayouts: [this.#layout(kernel)] }),
      compute: { module: this.#module(kernel), constants },
    };
  }

  #module(kernel: Kernel): GPUShaderModule {
    let module = this.#modules.get(kernel);
    if (!module) {
      module = this.#device.createShaderModule({ label: `topk_${kernel}`, code: shaders[`topk_${kernel}`] });
      this.#modules.set(kernel, module);
    }
    return module;
  }

  #layout(kernel: Kernel): GPUBindGroupLayout {
    let layout = this.#layouts.get(kernel);
    if (!layout) {
      // A uniform at 0, then storage: the bindings as the kernel declares them.
      const entries = [...shaders[`topk_${kernel}`].matchAll(/var<(uniform|storage,read)(_write)?>/g)].map(
        ([, space, writes], binding) => ({
          binding,
          visibility: COMPUTE_STAGE,
          buffer: { type: (space === 'uniform' ? space : writes ? 'storage' : 'read-only-storage') as GPUBufferBindingType },
        }),
      );
      layout = this.#device.createBindGroupLayout({ label: `topk_${kernel}`, entries });
      this.#layouts.set(kernel, layout);
    }
    return layout;
  }

  #group(kernel: Kernel, uniform: GPUBuffer, spans: Span[]): GPUBindGroup {
    const resources = [{ buffer: uniform, offset: 0, size: UNIFORM_BYTES }, ...spans];
    return this.#device.createBindGroup({
      layout: this.#layout(kernel),
      entries: resources.map((resource, binding) => ({ binding, resource })),
    });
  }

  /** What is not kept, or no longer, goes into `scratch`: commands that are not submitted yet may use it. */
  #uniform(pass: Pass, keep: boolean, scratch: GPUBuffer[]): GPUBuffer {
    const { rows, width, k, segments, padded, run, stride } = pass;
    const numbers = [rows, width, k, segments, padded, run, stride];
    const key = numbers.join();
    const kept = keep ? this.#uniforms.get(key) : undefined;
    if (kept) return kept;
    const buffer = this.#device.createBuffer({ size: UNIFORM_BYTES, usage: BufferUsage.UNIFORM, mappedAtCreation: true });
    new Uint32Array(buffer.getMappedRange()).set(numbers);
    buffer.unmap();
    if (!keep) {
      scratch.push(buffer);
      return buffer;
    }
    for (const [oldest, old] of this.#uniforms) {
      if (this.#uniforms.size < UNIFORMS_KEPT) break;
      this.#uniforms.delete(oldest);
      scratch.push(old);
    }
    this.#uniforms.set(key, buffer);
    return buffer;
  }
}

/** Names and values of a pass' override constants. */
const constantsOf = ({ kernel, threads, from, stride }: Pass, abs: boolean): [string, number][] =>
  Object.entries({ threads, select_abs: Number(abs), listed: Number(from !== 'input'), held: stride }).filter(([name]) =>
    shaders[`topk_${kernel}`].includes(`override ${name}:`),
  );

const pipelineKey = (pass: Pass, abs: boolean) => [pass.kernel, ...constantsOf(pass, abs)].join();

/** The storage bindings of a pass, in order. */
function spansOf({ kernel, from, to }: Pass, slots: Map<Slot, Span[]>): Span[] {
  const of = (slot: Slot) => slots.get(slot) ?? [];
  const input = of('input').slice(0, 1);
  switch (kernel) {
    case 'lanes':
    case 'select':
      return [...of(from), ...of(to)];
    case 'count':
      return [...input, ...of('counts')];
    case 'split':
      return [...input, ...of('counts'), ...of('pairs'), ...of('places')];
    case 'radix': // of whole rows it reads neither counts nor places
      return [...input, ...(from === 'places' ? [...of('counts'), ...of('places')] : [...input, ...input]), ...of('pairs')];
    case 'sort':
    case 'step':
      return of('pairs');
    case 'gather':
      return [...input, ...of('pairs'), ...of(to)];
  }
}
