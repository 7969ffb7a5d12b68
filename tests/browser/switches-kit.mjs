// Switches for the shipped model, as `topk-lm analyze --writes` would write them: for tests of what the site makes of such a file.
import { createHash } from 'node:crypto';

const one = (layer, index, contrast, kind, effect, control, value, texts) => {
  const [a, b] = contrast.split(' / ');
  const [name, times] = [effect > 0 ? `${b} → ${a}` : `${a} → ${b}`, Math.abs(effect) / control];
  const steer = { value: 2 * value, surprise: 1.12 };
  return { layer, index, name, contrast, kind, value, effect, control, times, kl: 0.8, steer, ...texts };
};

const MANY = { prompt: 'The dog in the forest', before: ' was very happy. He wanted to play', after: ' were very happy. They had a big' };
const QUOTE = { prompt: 'Mom said', before: ' that it was late.', after: ', "It is late."' };

export const SWITCHES = [
  one(2, 452, 'was / were', 'grammar', -2.1, 0.6, 11, MANY),
  one(3, 452, 'was / were', 'grammar', -6.83, 1.85, 12, MANY),
  one(3, 302, 'opening quote / none', 'punctuation', 2.5, 0.5, 9, QUOTE),
  one(3, 302, 'stop / comma', 'punctuation', -1.5, 0.4, 9, QUOTE),
];

/** Answers as if the model's folder had them: its manifest lists the file. */
export function serveSwitches(model, switches = SWITCHES) {
  const content = Buffer.from(JSON.stringify({ format: 1, model: model.name, switches }));
  const listed = { path: 'features/switches.json', bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') };
  const manifest = model.read('manifest.json');
  const files = [...manifest.files.filter((file) => file.path !== listed.path), listed].sort((a, b) => (a.path < b.path ? -1 : 1));
  const answers = { 'manifest.json': JSON.stringify({ ...manifest, files }), 'features/switches.json': content };
  return (request, response) => {
    const [, name] = decodeURIComponent(request.url).split(`/models/${model.name}/`);
    if (!(name in answers)) return false;
    response.setHeader('content-type', 'application/json').end(answers[name]);
    return true;
  };
}
