/** How the documentation is searched: the build makes the index with these, the page reads it with the same. */

/** Words, names with their underscores: `hook_topk_out`. */
const words = (/** @type {string} */ text) => text.match(/[\p{L}\p{N}_]+/gu) ?? [];

/** Words, and the parts of names: `hook_topk_out` is found by `topk`, `maxTokens` by `tokens`. */
const parts = (/** @type {string} */ text) =>
  words(text).flatMap((word) => [word, ...(/_|\p{Ll}\p{Lu}/u.test(word) ? word.split(/_|(?<=\p{Ll})(?=\p{Lu})/u).filter(Boolean) : [])]);

/** An entry of the Rust reference counts less: most readers look for the idea, or for the call in JavaScript. */
const RUST = 0.5;

export const SEARCH_OPTIONS = {
  fields: ['heading', 'page', 'text'],
  storeFields: ['url', 'page', 'heading', 'start'],
  tokenize: parts,
  searchOptions: {
    tokenize: words,
    boost: { heading: 3, page: 1.5 },
    boostDocument: (/** @type {unknown} */ _id, /** @type {string} */ _term, /** @type {Record<string, unknown> | undefined} */ entry) =>
      entry?.page === 'Rust' ? RUST : 1,
    prefix: true,
    /** One letter in six may be wrong, in words that are long enough. */
    fuzzy: (/** @type {string} */ term) => (term.length > 4 ? 0.17 : false),
    combineWith: /** @type {const} */ ('AND'),
  },
};
