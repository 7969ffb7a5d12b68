/** How the documentation is searched: the build makes the index with these, the page reads it with the same. */
export const SEARCH_OPTIONS = {
  fields: ['heading', 'page', 'text'],
  storeFields: ['url', 'page', 'heading', 'start'],
  searchOptions: {
    boost: { heading: 4, page: 2 },
    prefix: true,
    /** One letter in six may be wrong, in words that are long enough. */
    fuzzy: (/** @type {string} */ term) => (term.length > 4 ? 0.17 : false),
    combineWith: /** @type {const} */ ('AND'),
  },
};
