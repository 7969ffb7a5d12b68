/** Plain names of the states of stories that `topk-lm analyze --states` knows (training/storyworlds/states.md), and words by which they are found. */

/** What it is called, and further words. */
type Names = readonly [name: string, words: string];

const NAMES: Readonly<Record<string, Names>> = {
  'inside quotes': ['inside quotes', 'quotation speech dialogue talk speak direct'],
  'holds something': ['someone holding something', 'hold carry have possession hand'],
  indoors: ['indoors', 'inside house room'],
  outdoors: ['outdoors', 'outside nature'],
  mention: ['a character, a thing or a place is named', 'entity noun phrase'],
  'mention of a character': ['a character is named', 'person someone who people animal'],
  'mention of a group': ['a group is named', 'plural many together they several'],
  'mention of a place': ['a place is named', 'where location setting'],
  'mention of a thing': ['a thing is named', 'object what toy item'],
  'mention: feminine': ['she: someone female is named', 'her woman girl feminine gender'],
  'mention: masculine': ['he: someone male is named', 'him man boy masculine gender'],
  'mention: intro': ['named for the first time', 'intro introduction new first'],
  'mention: name': ['called by a name', 'proper'],
  'mention: noun': ['called by a noun', ''],
  'mention: plural': ['several are named: plural', 'they them many number group'],
  'mention: pronoun': ['called by a pronoun', 'he she it they'],
  'mention: singular': ['one is named: singular', 'number'],
  'subject: feminine': ['the subject is female', 'she her woman girl feminine gender'],
  'subject: masculine': ['the subject is male', 'he him man boy masculine gender'],
  'subject: plural': ['the subject is plural', 'they many number several'],
  'subject: singular': ['the subject is singular', 'number'],
  'tense: past': ['told in the past tense', 'time'],
  'tense: present': ['told in the present tense', 'time now'],
  verb: ['a verb', 'predicate action'],
  'verb: past': ['a verb in the past tense', 'time'],
  'verb: present': ['a verb in the present tense', 'time now'],
};

const KINDS: Readonly<Record<string, Names>> = {
  feeling: ['someone feels', 'feeling emotion mood'],
  place: ['the place is', 'place where location setting'],
  time: ['time of day:', 'when day'],
  weather: ['weather:', 'weather'],
};

/** Words for one value that a person may use for it. */
const SYNONYMS: Readonly<Record<string, string>> = {
  scared: 'afraid fear frightened',
  angry: 'anger mad',
  happy: 'happiness glad joy',
  sad: 'sadness unhappy sorrow',
  excited: 'excitement',
  worried: 'worry anxious',
  thankful: 'grateful',
  snow: 'winter cold',
  hot: 'warm summer',
  fair: 'sunny sun nice',
  night: 'dark',
};

/** What a state is called in plain words. */
export function nameOfState(state: string): string {
  const [kind = '', value = ''] = state.split(': ');
  return NAMES[state]?.[0] ?? (KINDS[kind] && value ? `${KINDS[kind][0]} ${value}` : state);
}

/** Words by which a state is found. */
export function wordsOfState(state: string): string {
  const [kind = '', value = ''] = state.split(': ');
  if (NAMES[state]) return `${state} ${NAMES[state][0]} ${NAMES[state][1]}`;
  return `${state} ${KINDS[kind]?.[1] ?? ''} ${SYNONYMS[value] ?? ''}`;
}
