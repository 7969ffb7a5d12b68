// Share links and saved files: whatever they hold, there is an address, and a sentence for what could not be read.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changedJson, changedText } from './random.mjs';
import { fuzz } from './run.mjs';
import { sources } from './sources.mjs';

const { readAddress, readFile, linkOf, fileOf, formatRoute } = sources;

const LINKS = [
  '',
  '#/explore?t=AQIDBAU&n=2.277&at=3',
  '#/steer?t=AQIDBAU&e=2.277_clamp_14_in_generated_from*0.1_ablate_0&seed=1&temp=0.8&len=40&b=AQID&s=AQIE&pl=2',
  '#/m/Llama-TopK-Stories-16M/2/277?ckpt=254&vs=1.5',
  '#/trace?ckpt=254&model=https%3A%2F%2Fhost.example%2Fm%2F',
  '#/browse?q=food&sort=entropy',
];

test('share links and saved files', (t) =>
  fuzz(t, 'links', (random) => {
    const hash = changedText(random, random.pick(LINKS));
    const sentences = ({ route, errors }) => {
      for (const error of errors) assert.ok(error.length > 0 && error.length <= 300, `a sentence of ${error.length} characters`);
      return route;
    };
    const route = sentences(readAddress(hash, 'This link'));
    const link = linkOf(route, 'model').hash;
    sentences(readAddress(link, 'This link'));
    assert.equal(formatRoute(readAddress(formatRoute(route, 'model'), 'x').route, 'model'), formatRoute(route, 'model'));
    const file = fileOf(route, 'model', { more: 1 });
    sentences(readFile('a.json', JSON.stringify(random.chance(0.5) ? file : changedJson(random, file))));
    if (random.chance(0.2)) sentences(readFile('a'.repeat(random.below(500)), changedText(random, JSON.stringify(file))));
  }));
