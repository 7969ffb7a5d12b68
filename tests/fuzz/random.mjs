// Random numbers, odd values, and changed JSON: the same for the same seed.

/** Mulberry32 with what fuzzing needs. */
export class Random {
  #state;
  constructor(seed) {
    this.#state = seed >>> 0;
  }
  /** 0 ≤ x < 1 */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
  below(n) {
    return Math.floor(this.next() * n);
  }
  chance(p) {
    return this.next() < p;
  }
  pick(list) {
    return list[this.below(list.length)];
  }
}

const NUMBERS = [0, -0, 1, -1, 2, 3, 1.5, Number.NaN, Infinity, -Infinity, 2 ** 31, 2 ** 32, 2 ** 53, 1e300, 5e-324];
const TEXTS = [
  '',
  'a',
  '\ud800',
  '\udc00x',
  'é\u0301',
  '\0',
  '__proto__',
  'constructor',
  '<script>',
  '../..',
  'x'.repeat(5000),
  '\u202e',
  '🙂',
];

/** Values that no caller should pass, and some do. Each call makes new ones. */
export function oddValue(random, depth = 0) {
  const odd = (nested = depth + 1) => (nested > 3 ? null : oddValue(random, nested));
  const makers = [
    () => undefined,
    () => null,
    () => random.pick(NUMBERS),
    () => random.pick([0n, -1n, 1n << 64n]),
    () => random.pick(TEXTS),
    () => random.chance(0.5),
    () => Symbol('odd'),
    () => () => {},
    () => () => {
      throw new Error('thrown by a callback');
    },
    () => class Odd {},
    () => Array.from({ length: random.below(4) }, () => odd()),
    () => new Array(3),
    () => ({}),
    () => ({ [random.pick(TEXTS)]: odd(), length: random.pick(NUMBERS) }),
    () => Object.create(null),
    () => ({
      toString() {
        throw new Error('thrown by toString');
      },
    }),
    () =>
      Object.defineProperty({}, 'signal', {
        enumerable: true,
        get: () => {
          throw new Error('thrown by a getter');
        },
      }),
    () =>
      new Proxy(
        {},
        {
          get: () => {
            throw new Error('thrown by a proxy');
          },
          ownKeys: () => {
            throw Symbol('thrown by a proxy');
          },
        },
      ),
    () => {
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      return proxy;
    },
    () => new Proxy(new AbortController().signal, {}),
    () => new Proxy(new Uint32Array(2), {}),
    () => new Date(Number.NaN),
    () => /x/g,
    () => new Map([[1, odd()]]),
    () => new Set([1]),
    () => new Float32Array([1.5, Number.NaN]),
    () => new BigInt64Array(2),
    () => new Uint32Array(random.below(3)).fill(0xffffffff),
    () => structuredClone(new Uint8Array(8), { transfer: [] }),
    () => {
      const bytes = new Uint32Array(4);
      structuredClone(bytes, { transfer: [bytes.buffer] }); // detached
      return bytes;
    },
    () => new ArrayBuffer(4),
    () => new Blob(['x']),
    () => new File(['{}'], random.pick(TEXTS)),
    () => new URL('file:///nowhere'),
    () => AbortSignal.abort(odd()),
    () => new AbortController(),
    () => new Error('x'.repeat(1000)),
    () => Object(1),
    () => Object('text'),
    () => {
      const circle = {};
      circle.self = circle;
      return circle;
    },
    () => Promise.resolve(1),
    () => new WeakMap(),
    () => (function* () {})(),
  ];
  return random.pick(makers)();
}

const JSON_VALUES = [null, true, 0, -1, 1.5, 1e300, 2 ** 53, '', 'x', '\ud800', '../x', 'x'.repeat(400), [], {}, [[]], [null], { x: {} }];

/** A copy with one thing changed, somewhere. */
export function changedJson(random, value) {
  if (typeof value !== 'object' || value === null || random.chance(0.1)) return structuredClone(random.pick(JSON_VALUES));
  const copy = Array.isArray(value) ? [...value] : { ...value };
  const keys = Object.keys(copy);
  const key = random.pick(keys);
  if (key === undefined || random.chance(0.05)) {
    const name = random.pick(['__proto__', 'extra', 'length', '0']);
    return Object.defineProperty(copy, Array.isArray(copy) ? '0' : name, {
      value: random.pick(JSON_VALUES),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  if (random.chance(0.1)) {
    if (Array.isArray(copy)) copy.splice(Number(key), 1, ...(random.chance(0.5) ? [copy[key], copy[key]] : []));
    else delete copy[key];
  } else copy[key] = changedJson(random, copy[key]);
  return copy;
}

/** A copy with a few characters changed. */
export function changedText(random, text) {
  let changed = text;
  for (let left = 1 + random.below(4); left > 0; left--) {
    const at = random.below(changed.length + 1);
    const cut = random.chance(0.3) ? random.below(Math.min(changed.length - at, 20) + 1) : random.below(2);
    const put = random.pick([
      '',
      '%',
      '%E0%A4',
      '&',
      '=',
      '?',
      '#',
      '/',
      '_',
      '*',
      '.',
      '-',
      '"',
      '{',
      '}',
      '[',
      ']',
      ',',
      '\\u0000',
      '\ud800',
      '9'.repeat(1 + random.below(30)),
      'AAAA'.repeat(random.below(40)),
      changed.slice(0, random.below(30)),
      String.fromCharCode(random.below(0x10000)),
    ]);
    changed = changed.slice(0, at) + put + changed.slice(at + cut);
  }
  return changed;
}
