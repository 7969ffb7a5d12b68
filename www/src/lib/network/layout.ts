/**
 * Where the parts of the picture lie: layers one after the other along the flow, neurons across it. On a narrow screen the flow runs downwards. Lengths are
 * those at a text of 16 px: with a reader's larger text the whole picture grows, as its names do.
 */
import type { Scene } from './scene';

export interface Place {
  layer: number;
  /** Along the flow: where bars begin, and how long the longest is. */
  base: number;
  reach: number;
}

/** Rectangle of a name, px. */
export interface NamePlace {
  layer: number;
  index: number;
  left: number;
  top: number;
  width: number;
  /** Where its neuron lies, across the flow. */
  across: number;
}

export interface Layout {
  isDown: boolean;
  width: number;
  height: number;
  places: readonly Place[];
  names: readonly NamePlace[];
  /** Along the flow: where the token’s lines begin, and where those of the last layer meet. */
  start: number;
  end: number;
  /** Across the flow: first and last neuron. */
  from: number;
  to: number;
}

/** The flow runs downwards below the first width, px, and up to the second where a layer would have less than the third. */
const NARROW = 620;
const WIDE = 860;
const LEAST_STEP = 110;
const HEIGHT = 430;
const EDGE = 22;
/** Beside the flow: the token, and the next tokens. */
const TOKEN = 104;
const NEXT = 168;
const NAME_HEIGHT = 20;
/** Along a downward flow. */
const STEP_DOWN = 104;
const REACH_DOWN = 54;

function isNarrow(width: number, layers: number): boolean {
  return width < NARROW || (width < WIDE && (width - TOKEN - NEXT) / Math.max(1, layers) < LEAST_STEP);
}

/** Width of a name in a downward flow, at least. */
const NAME_DOWN = 110;

/** How many names a layer has room for, and of how many letters. */
export function roomFor(width: number, layers: number): { names: number; room: number } {
  if (isNarrow(width, layers)) {
    const names = Math.max(3, Math.floor(width / NAME_DOWN));
    return { names, room: Math.floor(width / names / 7.5) };
  }
  return { names: 7, room: Math.floor((((width - TOKEN - NEXT) / Math.max(1, layers)) * 0.57) / 6.8) };
}

export const heightFor = (width: number, layers: number): number => (isNarrow(width, layers) ? 44 + STEP_DOWN * layers + 128 : HEIGHT);

export function layoutOf(scene: Scene, width: number): Layout {
  const { stages } = scene;
  const isDown = isNarrow(width, stages.length);
  const height = heightFor(width, stages.length);
  const step = isDown ? STEP_DOWN : (width - TOKEN - NEXT) / Math.max(1, stages.length);
  const [from, to] = isDown ? [4, width - 4] : [EDGE, height - 8];
  const places = stages.map(({ layer }, at) =>
    isDown
      ? { layer, base: 44 + at * STEP_DOWN + REACH_DOWN + 14, reach: REACH_DOWN }
      : { layer, base: TOKEN + at * step + step * 0.06, reach: step * 0.36 },
  );
  const across = (index: number) => from + ((index + 0.5) / Math.max(1, scene.width)) * (to - from);
  const names = stages.flatMap(({ layer, names: all }, at) => {
    const { base, reach } = places[at]!;
    const sorted = all.toSorted((a, b) => a.index - b.index);
    if (isDown) {
      const slot = width / Math.max(1, sorted.length);
      return sorted.map(({ index }, i) => ({
        layer,
        index,
        left: i * slot + 2,
        top: base + 8,
        width: slot - 4,
        across: across(index),
      }));
    }
    const tops = spread(
      sorted.map(({ index }) => across(index) - NAME_HEIGHT / 2),
      NAME_HEIGHT,
      from - 4,
      height - NAME_HEIGHT,
    );
    return sorted.map(({ index }, i) => ({
      layer,
      index,
      left: base + reach + 4,
      top: tops[i]!,
      width: step - reach - step * 0.06 - 6,
      across: across(index),
    }));
  });
  const [start, end] = isDown ? [30, height - 118] : [TOKEN - 18, width - NEXT + 36];
  return { isDown, width, height, places, names, start, end, from, to };
}

/** Ascending places moved as little as it takes for each to have `room`, between two ends. */
export function spread(wanted: readonly number[], room: number, first: number, last: number): number[] {
  const places = [...wanted];
  for (let i = 0; i < places.length; i++) places[i] = Math.max(places[i]!, i === 0 ? first : places[i - 1]! + room);
  for (let i = places.length - 1; i >= 0; i--) places[i] = Math.min(places[i]!, i === places.length - 1 ? last : places[i + 1]! - room);
  return places;
}

/** Where a neuron lies across the flow, and which neuron lies there. */
export const acrossOf = ({ from, to }: Layout, width: number, index: number): number =>
  from + ((index + 0.5) / Math.max(1, width)) * (to - from);
export const indexAt = ({ from, to }: Layout, width: number, across: number): number =>
  Math.min(width - 1, Math.max(0, Math.floor(((across - from) / (to - from)) * width)));

/** The layer whose bars or streams are there along the flow; `null`: before the first. */
export function placeAt({ places, isDown }: Layout, along: number): Place | null {
  return isDown
    ? (places.find(({ base }) => along <= base + 4) ?? null)
    : (places.findLast(({ base, reach }) => along >= base - reach * 0.2) ?? null);
}
