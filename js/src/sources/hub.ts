/** Models by name on a hub: `{hub}/{owner}/{name}/resolve/{revision}/{file}`, the addresses that Hugging Face and its mirrors serve. */

import { createError, show, TopKError } from '../errors.js';

/** Where names are looked up by default. */
const HUB = 'https://huggingface.co';

const NAME = /^([a-z0-9][\w.-]*)\/([a-z0-9][\w.-]*?)(?:@([a-z0-9][\w./-]*))?$/i;

/** The same error where a name was looked up: it may have been meant as a path. */
export function ofName(error: unknown, name: string | undefined): unknown {
  if (name === undefined || !(error instanceof TopKError) || error.code !== 'download') return error;
  return createError('download', `${error.message} ${show(name)} was taken for a name on a hub; a folder begins with ./ or /.`, {
    cause: error,
  });
}

/** The folder of `owner/name` or `owner/name@revision` (default `main`); `undefined`: that is no name, but an address or a path. */
export function hubFolder(text: string, hub: string = HUB): string | undefined {
  const [, owner, name, revision = 'main'] = NAME.exec(text) ?? [];
  if (owner === undefined) return undefined;
  return `${hub.replace(/\/*$/, '')}/${owner}/${name}/resolve/${encodeURIComponent(revision)}/`;
}
