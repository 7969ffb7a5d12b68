// The app of every fixture: loads a model, generates greedily, and leaves what it got in `outcome`.
// Query: model, ids, count, backend, worker ("false": in the page), workerUrl, wasmUrl, cache (its name).
import { TopKLM } from 'topk-lm';

const query = new URLSearchParams(location.search);

async function generate() {
  const options = { backend: query.get('backend'), cache: query.get('cache') ?? false };
  if (query.has('worker')) options.worker = query.get('worker') === 'true';
  for (const name of ['workerUrl', 'wasmUrl']) if (query.has(name)) options[name] = query.get(name);
  const phases = new Set();
  options.onProgress = ({ phase }) => phases.add(phase);
  const model = await TopKLM.load(query.get('model'), options);
  const prompt = query.get('ids').split(',').map(Number);
  const ids = [];
  for await (const { id } of model.generate(prompt, { maxTokens: Number(query.get('count')), temperature: 0 })) ids.push(id);
  const { kind, adapter, reason } = model.backend;
  const { state: cache } = model.cache;
  await model.dispose();
  return { kind, adapter, reason, ids, cache, phases: [...phases], isolated: globalThis.crossOriginIsolated };
}

globalThis.outcome = generate().catch(({ name, code, message }) => ({ error: { name, code, message } }));
