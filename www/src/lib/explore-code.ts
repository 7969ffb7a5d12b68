/** Exports what Explore shows, as code and as files. */
import type { ActiveRows } from 'topk-lm';
import type { Activations } from './activations';
import { type CodeModel, commandLine, loadingCode } from './model-code';
import { hookOf, type ModelKind } from './model-kind';
import { safetensors } from './safetensors';
import { csv } from './save';

export interface ExploreRun extends CodeModel {
  ids: readonly number[];
  /** Hook names that were read. */
  hooks: readonly string[];
}

export function asJavaScript({ ids, hooks, ...model }: ExploreRun): string {
  return `${loadingCode(model)}const { tokens, hooks } = await model.run([${ids.join(', ')}], {
  hooks: ${JSON.stringify(hooks)},
  logits: 'none',
});
console.log(tokens, hooks);
await model.dispose();
`;
}

export function asCommand({ ids, hooks, ...model }: ExploreRun): string {
  const words = ['--ids', ids.join(','), ...hooks.flatMap((name) => ['--hook', name]), '--out', 'activations.safetensors'];
  return commandLine(model, 'run', words);
}

/** One line per active neuron. */
export function activationsCsv({ ids, tokens, rows }: Activations): string {
  const lines: (string | number)[][] = [['position', 'id', 'token', 'layer', 'index', 'value']];
  for (const [layer, { rowStart, indices, values }] of rows) {
    for (let at = 0; at < rowStart.length - 1; at++) {
      for (let i = rowStart[at]!; i < rowStart[at + 1]!; i++) lines.push([at, ids[at]!, tokens[at]!, layer, indices[i]!, values[i]!]);
    }
  }
  return csv(lines);
}

/** The hidden states as dense f32 tensors [T, d] under their hook names, as `topk-lm run` writes them. */
export function activationsFile({ ids, rows }: Activations, kind: ModelKind | null): Blob {
  const tensors = [...rows].map(([layer, active]) => ({ name: hookOf(kind, layer), shape: active.shape, data: denseOf(active) }));
  return safetensors(tensors, { ids: JSON.stringify(ids) });
}

function denseOf({ shape: [positions, d], rowStart, indices, values }: ActiveRows): Float32Array {
  const data = new Float32Array(positions * d);
  for (let at = 0; at < positions; at++) {
    for (let i = rowStart[at]!; i < rowStart[at + 1]!; i++) data[at * d + indices[i]!] = values[i]!;
  }
  return data;
}
