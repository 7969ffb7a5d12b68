/** Models by name on a hub: `{hub}/{owner}/{name}/resolve/{revision}/{file}`, the addresses that Hugging Face and its mirrors serve. */

/** Where names are looked up by default. */
const HUB = 'https://huggingface.co';

const NAME = /^([a-z0-9][\w.-]*)\/([a-z0-9][\w.-]*?)(?:@([a-z0-9][\w./-]*))?$/i;

/** The folder of `owner/name` or `owner/name@revision` (default `main`); `undefined`: that is no name, but an address or a path. */
export function hubFolder(text: string, hub: string = HUB): string | undefined {
  const [, owner, name, revision = 'main'] = NAME.exec(text) ?? [];
  if (owner === undefined) return undefined;
  return `${hub.replace(/\/*$/, '')}/${owner}/${name}/resolve/${encodeURIComponent(revision)}/`;
}
