import { wordsOf } from './compare';
import { nameOfSide } from './contrast-names';

/** Further words by which both sides of a contrast are found, or (between bars) the first and the second alone; by its name, as in contrast-names.ts. */
const WORDS: Readonly<Record<string, string>> = {
  'was / were': 'number | singular | plural',
  'is / are': 'number | singular | plural',
  'has / have': 'number | singular | plural',
  'past / present': 'tense time verb',
  'did / does': 'tense time verb question',
  'will / would': 'tense | future | conditional',
  'can / could': 'ability tense',
  'a / an': 'article vowel consonant sound',
  'a / the': 'article definite indefinite',
  'this / these': 'number pointing | singular | plural',
  'it / them': 'number pronoun | singular | plural',
  'one thing / many': 'number noun | singular | plural',
  'he / she': 'pronoun gender | boy man male masculine | girl woman female feminine',
  'his / her': 'pronoun gender possession | boy man male masculine | girl woman female feminine',
  'him / her': 'pronoun gender | boy man male masculine | girl woman female feminine',
  'they / she or he': 'number pronoun | plural group | singular',
  'I / you': 'pronoun person dialogue speech',
  'my / your': 'pronoun possession dialogue speech',
  'I / he or she': 'pronoun person narrator story',
  'not / so': 'negation intensity denial',
  'and / but': 'connection contrast opposition',
  'because / so': 'cause consequence reason',
  'in / on': 'place preposition inside',
  'up / down': 'direction movement height',
  'to / from': 'direction movement toward away',
  'with / without': 'company lack',
  'before / after': 'time order',
  'more / less': 'comparison bigger smaller better worse',
  'who / that': 'relative pronoun',
  'what / where': 'question word place thing',
  'comma / stop': 'punctuation full stop pause end',
  'stop / exclamation mark': 'punctuation shout excitement full stop',
  'question / statement': 'punctuation ask question mark',
  'closing quote / none': 'punctuation speech dialogue quotation mark',
  'opening quote / none': 'punctuation speech dialogue quotation mark talk say',
  'new paragraph / next sentence': 'line break layout',
  'sad / happy': 'feeling emotion mood | cry unhappy sadness | smile glad happiness joy',
  'afraid / brave': 'feeling emotion | fear scared frightened | courage bold',
  'place / person': '| where setting | who character people',
  'animal / person': '| creature pet | human character people',
  'food / toy': 'thing | eat meal | play',
  'mother / father': 'family parent | mom | dad',
  'day / night': 'time light dark sun moon',
  'big / small': 'size large little',
  'hot / cold': 'temperature warm weather',
  'water / land': 'sea river ground nature',
  'see / hear': 'sense eyes ears look listen',
  'say / ask': 'speech dialogue question talk',
  'come / go': 'movement direction',
  'give / take': 'hand exchange',
  'find / lose': 'search discover missing',
  'play / work': 'fun job',
  'good / bad': 'moral quality nice mean',
  'first / last': 'order beginning end',
  'once / then': 'time order beginning',
  'red / blue': 'color',
};

/** Words of plain names that say nothing by themselves. */
const SMALL = /^(?:an?|the|of|to|no|is|one|it|them|know|you|with|will|what|can|be|before|about|that|keeps|opens?)$/;

/** Words by which what turns text towards one side of a contrast is found: its plain name, its own side, further words. */
export function wordsOfSide(contrast: string, towardsFirst: boolean): string[] {
  const at = towardsFirst ? 0 : 1;
  const own = contrast.split(' / ')[at] ?? contrast;
  const [shared = '', ...sides] = (WORDS[contrast] ?? '').split('|');
  const named = wordsOf(nameOfSide(contrast, towardsFirst)).filter((word) => !SMALL.test(word));
  return [...new Set([...wordsOf(own), ...named, ...wordsOf(shared), ...wordsOf(sides[at] ?? '')])].filter((word) => word !== 'none');
}
