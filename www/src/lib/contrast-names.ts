import { wordsOf } from './compare';

/**
 * Plain names for the contrasts that `topk-lm analyze --writes` measures (crate/src/features/measure/contrasts.json): what a neuron stands for that
 * turns text towards the first side, towards the second, and further words by which both are found, or (between bars) the first and the second alone.
 */
type Names = readonly [first: string, second: string, words: string];

const NAMES: Readonly<Record<string, Names>> = {
  'was / were': ['One', 'More than one', 'number | singular | plural'],
  'is / are': ['One', 'More than one', 'number | singular | plural'],
  'has / have': ['One', 'More than one', 'number | singular | plural'],
  'past / present': ['The past', 'The present', 'tense time verb'],
  'did / does': ['The past', 'The present', 'tense time verb question'],
  'will / would': ['What will be', 'What would be', 'tense | future | conditional'],
  'can / could': ['What can be', 'What could be', 'ability tense'],
  'a / an': ['A, before a consonant', 'An, before a vowel', 'article vowel consonant sound'],
  'a / the': ['Something new', 'The one you know', 'article definite indefinite'],
  'this / these': ['This one', 'These ones', 'number pointing | singular | plural'],
  'it / them': ['It: one thing', 'Them: many things', 'number pronoun | singular | plural'],
  'one thing / many': ['One thing', 'Many things', 'number noun | singular | plural'],
  'he / she': ['He', 'She', 'pronoun gender | boy man male masculine | girl woman female feminine'],
  'his / her': ['His', 'Her, hers', 'pronoun gender possession | boy man male masculine | girl woman female feminine'],
  'him / her': ['Him', 'Her', 'pronoun gender | boy man male masculine | girl woman female feminine'],
  'they / she or he': ['They', 'She or he', 'number pronoun | plural group | singular'],
  'I / you': ['I, the speaker', 'You, the listener', 'pronoun person dialogue speech'],
  'my / your': ['Mine', 'Yours', 'pronoun possession dialogue speech'],
  'I / he or she': ['Told by me', 'Told about someone', 'pronoun person narrator story'],
  'not / so': ['Not', 'So and very', 'negation intensity denial'],
  'and / but': ['And', 'But', 'connection contrast opposition'],
  'because / so': ['Because: a reason', 'So: a result', 'cause consequence reason'],
  'in / on': ['In', 'On', 'place preposition inside'],
  'up / down': ['Up', 'Down', 'direction movement height'],
  'to / from': ['To', 'From', 'direction movement toward away'],
  'with / without': ['With', 'Without', 'company lack'],
  'before / after': ['Before', 'After', 'time order'],
  'more / less': ['More', 'Less', 'comparison bigger smaller better worse'],
  'who / that': ['Who', 'That', 'relative pronoun'],
  'what / where': ['What', 'Where', 'question word place thing'],
  'comma / stop': ['A comma: the sentence continues', 'A period: the sentence ends', 'punctuation full stop pause end'],
  'stop / exclamation mark': [
    'A calm ending: a period',
    'An excited ending: an exclamation mark',
    'punctuation shout excitement full stop',
  ],
  'question / statement': ['A question', 'A statement', 'punctuation ask question mark'],
  'closing quote / none': ['Closes the quote', 'Keeps the quote open', 'punctuation speech dialogue quotation mark'],
  'opening quote / none': ['Opens a quote', 'Opens no quote', 'punctuation speech dialogue quotation mark talk say'],
  'new paragraph / next sentence': ['A new paragraph', 'The next sentence', 'line break layout'],
  'sad / happy': ['Sad', 'Happy', 'feeling emotion mood | cry unhappy sadness | smile glad happiness joy'],
  'afraid / brave': ['Afraid', 'Brave', 'feeling emotion | fear scared frightened | courage bold'],
  'place / person': ['A place', 'A person', '| where setting | who character people'],
  'animal / person': ['An animal', 'A person', '| creature pet | human character people'],
  'food / toy': ['Food', 'A toy', 'thing | eat meal | play'],
  'mother / father': ['Mother', 'Father', 'family parent | mom | dad'],
  'day / night': ['Day', 'Night', 'time light dark sun moon'],
  'big / small': ['Big', 'Small', 'size large little'],
  'hot / cold': ['Hot', 'Cold', 'temperature warm weather'],
  'water / land': ['Water', 'Land', 'sea river ground nature'],
  'see / hear': ['See', 'Hear', 'sense eyes ears look listen'],
  'say / ask': ['Say', 'Ask', 'speech dialogue question talk'],
  'come / go': ['Come', 'Go', 'movement direction'],
  'give / take': ['Give', 'Take', 'hand exchange'],
  'find / lose': ['Find', 'Lose', 'search discover missing'],
  'play / work': ['Play', 'Work', 'fun job'],
  'good / bad': ['Good', 'Bad', 'moral quality nice mean'],
  'first / last': ['First', 'Last', 'order beginning end'],
  'once / then': ['“Once”: a story begins', '“Then”: a story continues', 'time order beginning'],
  'red / blue': ['Red', 'Blue', 'color'],
};

/** The name of what a neuron turns text towards; of a contrast that is not in the list, that side of its own name. */
export function nameOfSide(contrast: string, towardsFirst: boolean): string {
  const sides = NAMES[contrast] ?? contrast.split(' / ');
  return (towardsFirst ? sides[0] : sides[1]) ?? contrast;
}

/** Words of plain names that say nothing by themselves. */
const SMALL = /^(?:an?|the|of|to|no|is|one|it|them|know|you|with|will|what|can|be|before|about|that|keeps|opens?)$/;

/** Words by which what turns text towards one side of a contrast is found: its plain name, its own side, further words. */
export function wordsOfSide(contrast: string, towardsFirst: boolean): string[] {
  const at = towardsFirst ? 0 : 1;
  const own = contrast.split(' / ')[at] ?? contrast;
  const [shared = '', ...sides] = (NAMES[contrast]?.[2] ?? '').split('|');
  const named = wordsOf(nameOfSide(contrast, towardsFirst)).filter((word) => !SMALL.test(word));
  return [...new Set([...wordsOf(own), ...named, ...wordsOf(shared), ...wordsOf(sides[at] ?? '')])].filter((word) => word !== 'none');
}
