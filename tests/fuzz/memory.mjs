// Counts the bytes of buffers that JavaScript asks for, and by which WebAssembly's memory grows. Imported before what is counted.

/** Bytes asked for since this module was loaded, given back or not. */
let asked = 0;
const memories = new Set();

const KINDS = ['ArrayBuffer', 'SharedArrayBuffer', 'Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array'].concat([
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
]);

const isBuffer = (value) => value instanceof ArrayBuffer || value instanceof SharedArrayBuffer;

for (const kind of KINDS) {
  const counting = new Proxy(globalThis[kind], {
    construct(target, given, called) {
      const made = Reflect.construct(target, given, called === counting ? target : called);
      if (!isBuffer(given[0])) asked += made.byteLength; // a view of a buffer takes nothing
      return made;
    },
  });
  globalThis[kind] = counting;
}

const { instantiate, Instance } = WebAssembly;
const noted = (instance) => {
  for (const value of Object.values(instance.exports)) if (value instanceof WebAssembly.Memory) memories.add(value);
  return instance;
};
WebAssembly.instantiate = async (module, imports) => {
  const made = await instantiate.call(WebAssembly, module, imports);
  noted(made.instance ?? made);
  return made;
};
WebAssembly.Instance = new Proxy(Instance, { construct: (target, given) => noted(Reflect.construct(target, given)) });

/** Bytes asked for so far. */
export function askedBytes() {
  let bytes = asked;
  for (const { buffer } of memories) bytes += buffer.byteLength;
  return bytes;
}
