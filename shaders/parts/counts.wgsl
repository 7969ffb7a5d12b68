// How many entries of a long row have each value of the top 11 bits of the key, and what has been sorted out of the row by them. The row's
// words are 0 before topk_count.wgsl.

const COUNTED: u32 = 2048u;       // values of the bits
const SHIFT: u32 = 21u;           // below them
const TAKEN: u32 = COUNTED;       // word: entries that are among the k for certain
const LEFT: u32 = COUNTED + 1u;   // word: entries that may be
const WORDS: u32 = COUNTED + 4u;  // of a row: `count_words` of topk_plan.json
