// A small sparse autoencoder for the stream behind block 2, with weights from a formula, in SAELens' layout.
import fs from 'node:fs';
import path from 'node:path';
import { root } from './fixture.mjs';

const D_SAE = 16;

/** Writes it into target/package-tests/NAME-sae; the folder. @param D_IN width of the residual stream */
export function writeSae(name, D_IN) {
  const folder = path.join(root, 'target/package-tests', `${name}-sae`);
  fs.mkdirSync(folder, { recursive: true });
  const cfg = { architecture: 'topk', k: 4, d_in: D_IN, d_sae: D_SAE, metadata: { hook_name: 'blocks.2.hook_resid_post' } };
  fs.writeFileSync(path.join(folder, 'cfg.json'), JSON.stringify(cfg));
  const numbers = (n, seed) => Float32Array.from({ length: n }, (_, i) => Math.sin(seed + i * 12.9898) / 8);
  fs.writeFileSync(
    path.join(folder, 'sae_weights.safetensors'),
    safetensors({
      W_enc: [[D_IN, D_SAE], numbers(D_IN * D_SAE, 1)],
      b_enc: [[D_SAE], numbers(D_SAE, 2)],
      W_dec: [[D_SAE, D_IN], numbers(D_SAE * D_IN, 3)],
      b_dec: [[D_IN], numbers(D_IN, 4)],
    }),
  );
  return folder;
}

/** F32 tensors as a file. */
function safetensors(tensors) {
  const header = {};
  let at = 0;
  for (const [name, [shape, data]] of Object.entries(tensors)) {
    header[name] = { dtype: 'F32', shape, data_offsets: [at, at + data.byteLength] };
    at += data.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...Object.values(tensors).map(([, data]) => Buffer.from(data.buffer))]);
}
