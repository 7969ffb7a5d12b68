const PACKAGES = '/peers/@tensorflow/';

function script(name, file) {
  return new Promise((resolve, reject) => {
    const element = document.createElement('script');
    element.src = `${PACKAGES}${name}/dist/${file}`;
    element.onload = resolve;
    element.onerror = () => reject(new Error(`${name} is not installed`));
    document.head.append(element);
  });
}

/** @param {{backend: 'webgpu' | 'wasm'}} options */
export async function open({ backend }) {
  if (!globalThis.tf) await script('tfjs-core', 'tf-core.min.js');
  const { tf } = globalThis;
  if (!tf.findBackendFactory(backend)) await script(`tfjs-backend-${backend}`, `tf-backend-${backend}.min.js`);
  if (backend === 'wasm') tf.wasm.setWasmPaths(`${PACKAGES}tfjs-backend-wasm/dist/`);
  const use = async () => {
    if (!(await tf.setBackend(backend))) throw new Error(`tfjs cannot start ${backend} here`);
    await tf.ready();
  };
  await use();
  return {
    use,
    prepare(values, rows, n, k) {
      const input = tf.tensor2d(values, [rows, n]);
      let last = null;
      return {
        call() {
          if (last) tf.dispose(last);
          last = tf.topk(input, k, true);
        },
        // By reading the last result, as its users do: its queue is not for others to submit.
        wait: () => last.values.data(),
        async read() {
          const found = tf.topk(input, k, true);
          const read = await found.values.data();
          tf.dispose(found);
          return read;
        },
        free: () => tf.dispose([input, last]),
      };
    },
    close() {},
  };
}
