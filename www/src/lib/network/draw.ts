/** Draws a scene at a time since its token came in: values rise, the threshold comes down, the rest falls away, the survivors go on. */
import type { Layout, Place } from './layout';
import { acrossOf } from './layout';
import type { Scene, Stage } from './scene';

export interface Colors {
  plus: string;
  minus: string;
  quiet: string;
  line: string;
  ink: string;
  /** The chosen neuron, or the one that was set. */
  lit: string;
}

/** ms from layer to layer, and of one layer. */
const STEP = 340;
const STAGE = 1250;

/** When the picture stands still, in ms. */
export const duration = (layers: number): number => Math.max(0, layers - 1) * STEP + STAGE;

/** How far the streams of the last layer go: so many lengths of its bars, or px in a downward flow. */
const AFTER = 2.7;
const AFTER_DOWN = 34;

/** How far a layer is, 0 to 1 each. */
interface Progress {
  rise: number;
  cut: number;
  fall: number;
  carry: number;
}

const ease = (x: number): number => 1 - (1 - Math.min(1, Math.max(0, x))) ** 3;

function progressOf(at: number, time: number): Progress {
  const t = (time - at * STEP) / STAGE;
  const part = (from: number, to: number) => ease((t - from) / (to - from));
  return { rise: part(0, 0.35), cut: part(0.3, 0.6), fall: part(0.55, 0.85), carry: part(0.65, 1) };
}

/** A value as a share of the longest bar: its square root, so that the small ones near the cut are seen. */
export const barOf = (value: number, scale: number): number => Math.sign(value) * Math.sqrt(Math.min(1.15, Math.abs(value) / scale));

/** Strengths that streams are drawn in, few so that each is one path. */
const LEVELS = 4;

export function draw(
  context: CanvasRenderingContext2D,
  scene: Scene,
  layout: Layout,
  time: number,
  colors: Colors,
  lit: { layer: number; index: number } | null,
): void {
  const { width, height, isDown } = layout;
  context.clearRect(0, 0, width, height);
  const pen = new Pen(context, scene, layout, colors);
  const [first, last] = [scene.stages[0], scene.stages.at(-1)];
  if (first && last) {
    pen.fan(first, layout.start, layout.places[0]!.base, progressOf(0, time).rise);
    const stop = layout.places.at(-1)!;
    const { carry } = progressOf(scene.stages.length - 1, time);
    pen.fan(last, layout.end, isDown ? stop.base + AFTER_DOWN : stop.base + stop.reach * AFTER, carry === 1 ? 1 : 0);
  }
  for (const [at, stage] of scene.stages.entries()) {
    const progress = progressOf(at, time);
    const place = layout.places[at]!;
    const next = layout.places[at + 1]?.base ?? (isDown ? place.base + AFTER_DOWN : place.base + place.reach * AFTER);
    if (progress.carry > 0) pen.streams(stage, place, next, progress.carry);
    pen.bars(stage, place, progress);
    if (stage.threshold !== null && progress.cut > 0) pen.threshold(stage, place, progress.cut);
    pen.names(stage, place, progress.carry);
    if (lit) pen.lit(stage, place, next, lit, progress);
  }
}

class Pen {
  readonly #of: CanvasRenderingContext2D;
  readonly #scene: Scene;
  readonly #layout: Layout;
  readonly #colors: Colors;

  constructor(context: CanvasRenderingContext2D, scene: Scene, layout: Layout, colors: Colors) {
    this.#of = context;
    this.#scene = scene;
    this.#layout = layout;
    this.#colors = colors;
  }

  #across(index: number): number {
    return acrossOf(this.#layout, this.#scene.width, index);
  }

  /** px of one neuron across the flow; never so thin that it is not seen. */
  get #thick(): number {
    return Math.max(0.9, (0.8 * (this.#layout.to - this.#layout.from)) / this.#scene.width);
  }

  /** A rectangle from `a` to `b` along the flow, counted from a layer's base. */
  #rect(place: Place, index: number, a: number, b: number, thick = this.#thick): void {
    const across = this.#across(index) - thick / 2;
    if (this.#layout.isDown) this.#of.rect(across, place.base - Math.max(a, b), thick, Math.abs(b - a));
    else this.#of.rect(place.base + Math.min(a, b), across, Math.abs(b - a), thick);
  }

  #fill(color: string, alpha: number, shape: () => void): void {
    if (alpha <= 0) return;
    this.#of.globalAlpha = alpha;
    this.#of.fillStyle = color;
    this.#of.beginPath();
    shape();
    this.#of.fill();
  }

  /** From the token to the first layer’s survivors, or from the last layer’s to the next tokens. */
  fan({ kept, scale }: Stage, point: number, edge: number, part: number): void {
    const { isDown, from, to } = this.#layout;
    const middle = isDown && point < edge ? 40 : (from + to) / 2;
    const half = (point + edge) / 2;
    const strong = kept.filter(({ value }) => barOf(Math.abs(value), scale) > 0.5);
    this.#stroke(this.#colors.plus, 0.22 * part, 1, () => {
      for (const { index } of strong) {
        const across = this.#across(index);
        if (isDown) {
          this.#of.moveTo(middle, point);
          this.#of.bezierCurveTo(middle, half, across, half, across, edge);
        } else {
          this.#of.moveTo(point, middle);
          this.#of.bezierCurveTo(half, middle, half, across, edge, across);
        }
      }
    });
  }

  bars({ before, kept, scale, push }: Stage, place: Place, { rise, fall }: Progress): void {
    const reach = place.reach * rise;
    const length = (value: number) => barOf(value, scale) * reach * (value < 0 ? 0.35 : 1);
    const { plus, minus, quiet, line, lit } = this.#colors;
    this.#fill(line, 1, () => this.#axis(place));
    if (before) {
      const survivors = new Set(kept.map(({ index }) => index));
      const left = 1 - fall; // what fell shrinks to a trace
      this.#fill(quiet, 0.3 + 0.4 * left, () => {
        before.forEach((value, index) => {
          if (!survivors.has(index)) this.#rect(place, index, 0, length(value) * (0.7 + 0.3 * left));
        });
      });
    }
    for (const [color, sign] of [
      [plus, 1],
      [minus, -1],
    ] as const) {
      this.#fill(color, 0.95, () => {
        for (const { index, value } of kept) if (value * sign > 0 && index !== push?.index) this.#rect(place, index, 0, length(value));
      });
    }
    if (push) {
      this.#fill(lit, 1, () => this.#rect(place, push.index, 0, length(push.value), 3));
      this.#fill(minus, 1, () => {
        for (const index of push.out) this.#rect(place, index, 0, length(before?.[index] ?? 0), 3);
      });
    }
  }

  #axis(place: Place): void {
    const { from, to, isDown } = this.#layout;
    if (isDown) this.#of.rect(from, place.base, to - from, 1);
    else this.#of.rect(place.base - 1, from, 1, to - from);
  }

  /** It comes down from beyond the longest bar to the least value that is kept. */
  threshold({ threshold, scale }: Stage, place: Place, cut: number): void {
    const { from, to, isDown } = this.#layout;
    const end = barOf(threshold!, scale) * place.reach;
    const at = 1.1 * place.reach + (end - 1.1 * place.reach) * cut;
    this.#of.setLineDash([5, 3]);
    this.#stroke(this.#colors.ink, cut < 1 ? 0.9 : 0.55, 1.25, () => {
      if (isDown) {
        this.#of.moveTo(from, place.base - at);
        this.#of.lineTo(to, place.base - at);
      } else {
        this.#of.moveTo(place.base + at, from);
        this.#of.lineTo(place.base + at, to);
      }
    });
    this.#of.setLineDash([]);
  }

  #stroke(color: string, alpha: number, width: number, shape: () => void): void {
    this.#of.globalAlpha = alpha;
    this.#of.strokeStyle = color;
    this.#of.lineWidth = width;
    this.#of.beginPath();
    shape();
    this.#of.stroke();
  }

  /** A survivor’s line to the next layer, where the same index is the same neuron. */
  #stream(place: Place, next: number, index: number, carry: number): void {
    const across = this.#across(index);
    const end = place.base + (next - place.base) * carry;
    if (this.#layout.isDown) {
      this.#of.moveTo(across, place.base);
      this.#of.lineTo(across, end);
    } else {
      this.#of.moveTo(place.base, across);
      this.#of.lineTo(end, across);
    }
  }

  streams({ kept, scale, names }: Stage, place: Place, next: number, carry: number): void {
    for (let level = 0; level < LEVELS; level++) {
      const inLevel = kept.filter(
        ({ value }) => Math.min(LEVELS - 1, Math.floor(Math.abs(barOf(value, scale)) * LEVELS)) === level && value !== 0,
      );
      this.#stroke(this.#colors.plus, [0.05, 0.1, 0.2, 0.34][level]!, 1, () => {
        for (const { index } of inLevel) this.#stream(place, next, index, carry);
      });
    }
    this.#stroke(this.#colors.plus, 0.6, 1.5, () => {
      for (const { index, isOut } of names) if (!isOut) this.#stream(place, next, index, carry);
    });
  }

  /** Lines from the tips of bars to their names. */
  names({ layer, names, scale }: Stage, place: Place, carry: number): void {
    if (carry <= 0) return;
    const { isDown } = this.#layout;
    const values = new Map(names.map(({ index, value }) => [index, value]));
    this.#stroke(this.#colors.plus, 0.7 * carry, 1, () => {
      for (const { index, left, top, width, across } of this.#layout.names.filter((name) => name.layer === layer)) {
        if (isDown) {
          this.#of.moveTo(across, place.base + 1);
          this.#of.lineTo(left + width / 2, top);
        } else {
          const tip = place.base + Math.max(0, barOf(values.get(index) ?? 0, scale)) * place.reach;
          this.#of.moveTo(tip + 2, across);
          this.#of.lineTo(left - 1, top + 10);
        }
      }
    });
  }

  /** The chosen neuron: its bar, and its index through all layers in which it is kept. */
  lit({ layer, kept, scale }: Stage, place: Place, next: number, lit: { layer: number; index: number }, { rise, carry }: Progress): void {
    const active = kept.find(({ index }) => index === lit.index);
    if (!active) return;
    const isHere = lit.layer === layer;
    const { lit: color } = this.#colors;
    if (carry > 0) this.#stroke(color, isHere ? 1 : 0.5, isHere ? 2 : 1.5, () => this.#stream(place, next, lit.index, carry));
    const length = barOf(active.value, scale) * place.reach * rise * (active.value < 0 ? 0.35 : 1);
    this.#fill(color, isHere ? 1 : 0.6, () => this.#rect(place, lit.index, 0, length, isHere ? 4 : 2.5));
  }
}
