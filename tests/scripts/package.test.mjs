// The npm package names the repository in which it was built, where that is known.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { origin } from '../../scripts/lib/package.mjs';

test('a build in a workflow names its repository', () => {
  const { repository, homepage, bugs } = origin({ GITHUB_SERVER_URL: 'https://git.example', GITHUB_REPOSITORY: 'owner/name' });
  assert.deepEqual(repository, { type: 'git', url: 'git+https://git.example/owner/name.git', directory: 'js' });
  assert.equal(homepage, 'https://git.example/owner/name#readme');
  assert.equal(bugs.url, 'https://git.example/owner/name/issues');
});

test('any other build says nothing', () => {
  assert.deepEqual(origin({}), {});
  assert.deepEqual(origin({ GITHUB_SERVER_URL: 'https://git.example', GITHUB_REPOSITORY: 'a name' }), {});
  assert.deepEqual(origin({ GITHUB_REPOSITORY: 'owner/name' }), {});
});
