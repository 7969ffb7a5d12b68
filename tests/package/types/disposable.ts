// A user's file in a project whose libraries know `await using`: it only has to compile.
import { TopKLM } from 'topk-lm';

export async function use(): Promise<void> {
  await using model = await TopKLM.load('./model');
  await using generation = model.generate('Once', { hooks: ['hook_embed'] });
  for await (const { text } of generation) console.log(text);
}
