/** Svelte's own TypeScript support (types are stripped) is enough: no preprocessor. */
export default { compilerOptions: { runes: true } };
