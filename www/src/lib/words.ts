/** When two words count as the same in a search: spelling, plurals, endings; and kinds of things, by their name. */
import { wordsOf } from './compare';

const IRREGULAR: Readonly<Record<string, string>> = {
  grey: 'gray',
  mum: 'mom',
  mums: 'mom',
  mummy: 'mommy',
  men: 'man',
  women: 'woman',
  children: 'child',
  mice: 'mouse',
  feet: 'foot',
  people: 'person',
};

/** One form for the spellings, the plural and the endings of a word: “colours” and “color”, “quotes” and “quote”, “talking” and “talk”. */
export function stem(word: string): string {
  let text = word.replace(/['’]s$/, '');
  text = IRREGULAR[text] ?? text;
  text = text.replace(/(col|fav|flav|harb|hon|hum|lab|neighb|rum|vap)our/, '$1or').replace(/(cent|theat|met)re(s?)$/, '$1er$2');
  if (text.length > 4 && text.endsWith('ies')) text = `${text.slice(0, -3)}y`;
  else if (/(?:s|x|z|ch|sh)es$/.test(text)) text = text.slice(0, -2);
  else if (text.length > 3 && /[^s]s$/.test(text)) text = text.slice(0, -1);
  if (text.length > 5) text = text.replace(/([^aeiou])(?:ing|ed)$/, '$1');
  return text.length > 3 ? text.replace(/e$/, '') : text;
}

/** The stems of a text’s words. */
export const stemsOf = (text: string): string[] => wordsOf(text).map(stem);

/** How well a word of a query fits one of a text, both as stems: the same, or its beginning (three letters or more); 0: not at all. */
export function fit(wanted: string, own: string): number {
  if (wanted === own) return 1;
  return wanted.length > 2 && own.startsWith(wanted) ? BEGINS : 0;
}
const BEGINS = 0.6;

/** How well all words of a query fit words of a text: as the worst of them; 0 where one does not. */
export const fitAll = (wanted: readonly string[], own: readonly string[]): number =>
  wanted.length === 0 ? 0 : Math.min(...wanted.map((word) => Math.max(0, ...own.map((each) => fit(word, each)))));

/** Kinds of things, by the words that a search may call them, and what belongs to them. */
const KINDS: readonly (readonly [names: string, members: string])[] = [
  ['color', 'red blue green yellow orange purple pink brown black white gray golden silver'],
  [
    'animal creature pet',
    'dog puppy cat kitten bird duck owl bear fox rabbit bunny mouse squirrel horse cow pig sheep frog turtle lion fish bee',
  ],
  ['feeling emotion mood', 'happy sad angry scared afraid proud excited lonely worried surprised brave glad curious upset shy jealous'],
  ['family parent', 'mom mommy dad daddy mother father grandma grandpa sister brother aunt uncle baby son daughter'],
  ['food meal', 'cake cookie bread soup apple candy fruit cheese pie honey milk dinner lunch breakfast eat'],
  ['weather', 'rain snow storm wind sun cloud sunny windy cold warm thunder'],
  ['place setting', 'park garden house home forest woods river lake beach school farm hill village town kitchen room castle'],
  ['number count', 'one two three four five six seven eight nine ten many'],
  ['size', 'big small little tiny huge large tall long short'],
  ['body', 'hand head eye ear nose foot arm leg hair face mouth tail'],
  ['clothing clothes', 'hat dress shirt shoe sock coat boot scarf jacket'],
  ['vehicle', 'car truck bus train bike boat ship plane wagon'],
  ['toy', 'ball doll block kite puppet teddy toy'],
  ['plant', 'tree flower grass leaf seed rose bush'],
  ['speech speaking talk', 'said asked shouted whispered replied cried answered called told'],
  ['pronoun', 'he she it they him her them his their i you we'],
  ['preposition', 'in on under behind beside near over between into from to'],
  ['conjunction', 'and but or so because'],
  ['punctuation', '. , ! ? " : ;'],
  ['quote quotation mark', '" “ ”'],
];

/** What belongs to the kind that a query names, as stems, signs as they are; [] where it names none. */
export function membersOf(wanted: readonly string[]): string[] {
  const kind = KINDS.find(([names]) => wanted.length > 0 && wanted.every((word) => stemsOf(names).includes(word)));
  return kind ? kind[1].split(' ').map((member) => (/\p{L}/u.test(member) ? stem(member) : member)) : [];
}
