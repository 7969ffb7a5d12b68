// A token as a character, for engines that take text alone: CJK ideographs have room for 20,000.
const FIRST = 0x4e00;
export const characterOf = (id) => String.fromCodePoint(FIRST + id);
export const idOf = (character) => character.codePointAt(0) - FIRST;
