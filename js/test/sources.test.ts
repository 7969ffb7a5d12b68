import assert from 'node:assert/strict';
import fs, { mkdtempSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { TopKError } from '../src/errors.ts';
import { checkpointSteps, isInside, isOther, parseManifest } from '../src/manifest.ts';
import { sourceOf } from '../src/arguments.ts';
import { mapBytes, readGiven } from '../src/sources/bytes.ts';
import { BlobFiles, mapFiles } from '../src/sources/files.ts';
import { FolderFiles, readFileUrl } from '../src/sources/node.ts';
import { saeFiles } from '../src/sources/sae.ts';
import { checkpointFolder, type ModelFiles } from '../src/sources/source.ts';
import type { FileContent } from '../src/types.ts';
import { FakeServer, headerOf } from './support/server.ts';
import { turns } from './support/turns.ts';

function picked(path: string, content = path): File {
  const file = new File([content], path.split('/').at(-1) as string);
  Object.defineProperty(file, 'webkitRelativePath', { value: path });
  return file;
}

const throwsArgument = (call: () => unknown, pattern: RegExp) =>
  assert.throws(call, (error) => error instanceof TopKError && error.code === 'argument' && pattern.test(error.message));

test('a picked folder: the common top folder is left out, sub-folders stay', async () => {
  const map = mapFiles(
    ['my model/config.json', 'my model/model.safetensors', 'my model/step254/model.safetensors'].map((path) => picked(path)),
  );
  assert.deepEqual([...map.keys()], ['config.json', 'model.safetensors', 'step254/model.safetensors']);
  const files = new BlobFiles(map);
  assert.deepEqual(files.checkpoints, [254]);
  const step = await files.open('step254/');
  assert.equal(step.size('model.safetensors'), 'my model/step254/model.safetensors'.length);
  assert.equal(new TextDecoder().decode((await step.read('model.safetensors', 3, 5)) as Uint8Array), 'model');
  assert.equal(step.size('config.json'), undefined);
});

test('picked files without a folder, and lists that are no model', () => {
  assert.deepEqual(
    [...mapFiles([new File(['{}'], 'config.json'), new File([''], 'model.safetensors')]).keys()],
    ['config.json', 'model.safetensors'],
  );
  throwsArgument(() => mapFiles([]), /list of files is empty/);
  throwsArgument(() => sourceOf([picked('a/x.txt'), picked('a/y.txt')]), /config\.json is not among the 2 files/);
});

test('bytes by path: buffers and views, copied; what is no bytes is named', async () => {
  const config = new TextEncoder().encode('{"a":1}');
  const map = mapBytes({ 'config.json': config.subarray(1, 4), 'model.safetensors': new Uint8Array([1, 2, 3]).buffer });
  config.fill(0);
  const { files } = (await readGiven({ kind: 'files', files: map })) as { files: Map<string, Blob> };
  const folder = await new BlobFiles(files).open('');
  assert.deepEqual(await folder.read('config.json', 0, 3), new TextEncoder().encode('"a"'));
  assert.deepEqual(await folder.read('model.safetensors', 1, 2), Uint8Array.of(2, 3));
  throwsArgument(() => mapBytes({ 'config.json': 'text' }), /config\.json must be a Uint8Array/);
  throwsArgument(() => mapBytes({ '../config.json': config }), /not a path relative/);
  throwsArgument(() => sourceOf({ 'model.safetensors': config }), /config\.json is not among the 1 files/);
});

test('files by path: Blobs, responses, streams and async iterables are read once, to their end', async () => {
  async function* pieces() {
    yield Uint8Array.of(1, 2);
    yield Uint8Array.of(9, 3).subarray(1);
  }
  const given = new Map<string, FileContent>([
    ['config.json', new Blob(['{}'])],
    ['a', new Response('answer')],
    ['b', pieces()],
    ['c', new Blob(['stream']).stream() as unknown as FileContent],
  ]);
  const data = await readGiven(sourceOf(given));
  assert.equal(data.kind, 'files');
  const texts = data.kind === 'files' ? await Promise.all([...data.files.values()].map((blob) => blob.text())) : [];
  assert.deepEqual(texts, ['{}', 'answer', '\x01\x02\x03', 'stream']);
  const reading = (content: unknown) => readGiven(sourceOf({ 'config.json': content as FileContent }));
  await assert.rejects(reading(new Response('', { status: 404 })), {
    code: 'download',
    message: /^config\.json: the server responded with 404/,
  });
  await assert.rejects(
    reading(
      (async function* () {
        yield 'text';
      })(),
    ),
    { code: 'argument', message: /must come in pieces of bytes/ },
  );
  await assert.rejects(
    reading(
      // biome-ignore lint/correctness/useYield: it fails before
      (async function* () {
        throw new Error('gone');
      })(),
    ),
    { code: 'io', message: /^config\.json could not be read \(Error: gone\)/ },
  );
  const aborted = AbortSignal.abort();
  await assert.rejects(readGiven(sourceOf(given), aborted), { name: 'AbortError' });
});

test('an abort cancels the stream that is read; one that was read before is refused', async () => {
  for (const wrap of [(stream: ReadableStream) => stream, (stream: ReadableStream) => new Response(stream)]) {
    const abort = new AbortController();
    let pulled = 0;
    const ended = new Promise((end) => {
      const stream = new ReadableStream({
        pull: async (controller) => {
          await new Promise((resolve) => setTimeout(resolve));
          controller.enqueue(Uint8Array.of(1));
          if (++pulled === 3) abort.abort('enough');
          if (pulled === 20) end(controller.close());
        },
        cancel: end,
      });
      const reading = readGiven(sourceOf({ 'config.json': wrap(stream) as FileContent }), abort.signal);
      void assert.rejects(reading, { name: 'AbortError' });
    });
    assert.equal(await ended, 'enough');

    const begun = wrap(new Blob(['{}']).stream() as ReadableStream);
    const reader = (begun instanceof Response ? (begun.body as ReadableStream) : begun).getReader();
    await reader.read();
    reader.releaseLock();
    await assert.rejects(readGiven(sourceOf({ 'config.json': begun as FileContent })), { code: 'io' });
  }
});

test('owner/name is looked up on a hub, and nothing else is', (t) => {
  const kindOf = (text: string, hub?: string) => {
    const given = sourceOf(text, hub);
    return given.kind === 'url' ? given.url : given.kind;
  };
  assert.equal(kindOf('owner/name'), 'https://huggingface.co/owner/name/resolve/main/');
  assert.equal(kindOf('owner/na.me-7_b@v1.0'), 'https://huggingface.co/owner/na.me-7_b/resolve/v1.0/');
  assert.equal(
    kindOf('owner/name@refs/pr/1', 'https://hub.example/mirror/'),
    'https://hub.example/mirror/owner/name/resolve/refs%2Fpr%2F1/',
  );
  for (const path of ['./owner/name', '/owner/name', 'owner/name/', 'a/b/c', 'name', '../a', 'a/..', 'owner/name@..']) {
    assert.equal(kindOf(path), 'path', path);
  }
  const root = mkdtempSync(join(tmpdir(), 'topk-lm-'));
  const before = process.cwd();
  t.after(() => {
    process.chdir(before);
    rmSync(root, { recursive: true });
  });
  process.chdir(root);
  mkdirSync('owner/name', { recursive: true });
  assert.equal(kindOf('owner/name'), 'path', 'a folder of that name comes first');
});

test('a folder on the disk, by path and by file: URL', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'topk-lm-'));
  t.after(() => rmSync(root, { recursive: true }));
  throwsArgument(() => new FolderFiles(root), /has no config\.json/);
  writeFileSync(join(root, 'config.json'), '{}');
  mkdirSync(join(root, 'step9'));
  writeFileSync(join(root, 'step9', 'model.safetensors'), 'weights');
  for (const path of [root, pathToFileURL(root).href]) {
    const files = new FolderFiles(path);
    assert.deepEqual(files.checkpoints, [9]);
    const folder = await files.open('step9/');
    assert.equal(folder.size('model.safetensors'), 7);
    assert.equal(folder.size('nothing'), undefined);
    assert.equal(new TextDecoder().decode((await folder.read('model.safetensors', 2, 3)) as Uint8Array), 'igh');
    await assert.rejects(folder.read('model.safetensors', 5, 5), /ends after 7 bytes, but 10 are needed/);
  }
  assert.equal(new TextDecoder().decode(await readFileUrl(pathToFileURL(join(root, 'config.json')).href)), '{}');
});

test('a training step that is not there: which are', () => {
  const files = (...paths: string[]) => new BlobFiles(new Map(paths.map((path) => [path, new Blob()])));
  const two = files('config.json', 'step5/model.safetensors', 'step30/model.safetensors');
  assert.deepEqual([checkpointFolder(5, two), checkpointFolder('final', two)], ['step5/', '']);
  for (const [of, message] of [
    [two, "step is 7, but there is no step7/model.safetensors; the model's checkpoints are 5, 30, and 'final'."],
    [files('config.json'), "step is 7, but there is no step7/model.safetensors; the model's checkpoints are none, only 'final'."],
  ] as const) {
    assert.throws(() => checkpointFolder(7, of), { code: 'checkpoint', message });
  }
  const unknown = { ...files(), checkpoints: undefined, missing: 'download' } as unknown as ModelFiles;
  assert.equal(checkpointFolder(7, unknown), 'step7/');
});

test('an autoencoder without one of its files: which, and where', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'topk-lm-'));
  t.after(() => rmSync(root, { recursive: true }));
  const { signal } = new AbortController();
  await assert.rejects(saeFiles({ kind: 'path', path: root }, signal), {
    code: 'argument',
    message: `cfg.json is missing from ${root}; the folder of an autoencoder in SAELens' layout has cfg.json and sae_weights.safetensors.`,
  });
  const given = new Map([['cfg.json', new Blob(['{}'])]]);
  await assert.rejects(
    saeFiles({ kind: 'files', files: given }, signal),
    /^\w+: sae_weights\.safetensors is missing from the given files; /,
  );
});

test('where both files of an autoencoder are missing, the first is named, whichever the server answers about first', async (t) => {
  for (const late of ['cfg.json', 'sae_weights.safetensors']) {
    t.mock.method(globalThis, 'fetch', async (url: string) => {
      if (url.endsWith(late)) await turns(20);
      return new Response(null, { status: 404 });
    });
    const missing = saeFiles({ kind: 'url', url: 'https://h.example/a/' }, new AbortController().signal);
    await assert.rejects(missing, { code: 'download', message: /^cfg\.json is missing from https:\/\/h\.example\/a\// });
  }
});

test('the files of an autoencoder are asked for as those of a model are: with what its address has behind ?', async (t) => {
  const asked: string[] = [];
  t.mock.method(globalThis, 'fetch', async (url: string) => asked.push(url) && new Response('x'));
  for (const url of ['https://h.example/a/sae?token=1', 'https://h.example/a/sae/?token=1#top']) {
    await saeFiles({ kind: 'url', url }, new AbortController().signal);
  }
  const files = ['cfg.json', 'sae_weights.safetensors'].map((name) => `https://h.example/a/sae/${name}?token=1`);
  assert.deepEqual(asked, [...files, ...files]);
});

test('the description of an autoencoder ends at a limit, its weights do not', { timeout: 600_000 }, async (t) => {
  const server = new FakeServer().put('cfg.json', '{}').put('sae_weights.safetensors', '');
  t.mock.method(globalThis, 'fetch', server.fetch);
  const fetched = () => saeFiles({ kind: 'url', url: 'https://host.example/m/' }, new AbortController().signal);
  const header = headerOf(128 << 20);
  server.begun.set('sae_weights.safetensors', header);
  server.untold.set('sae_weights.safetensors', 128 << 20);
  assert.equal((await fetched()).get('sae_weights.safetensors')?.size, header.length + (128 << 20));
  server.untold.set('cfg.json', Number.POSITIVE_INFINITY);
  await assert.rejects(
    fetched(),
    (error) => error instanceof TopKError && error.code === 'download' && /cfg\.json is longer than 128 MiB/.test(error.message),
  );
});

test('manifest.json is checked before it is trusted', () => {
  const sha256 = 'A'.repeat(64);
  const { files, steps } = parseManifest(
    JSON.stringify({ format: 1, files: [{ path: 'step5/model.safetensors', bytes: 3, sha256 }], steps: [2, 5] }),
    'm',
  );
  assert.deepEqual(files.get('step5/model.safetensors'), { path: 'step5/model.safetensors', bytes: 3, sha256: 'a'.repeat(64) });
  assert.deepEqual(steps, [2, 5]);
  const wrong: [unknown, RegExp][] = [
    [{ format: 2, files: [] }, /format is 2/],
    [{ format: 1 }, /files must be a list/],
    [{ format: 1, files: [{ path: '../x', bytes: 1, sha256 }] }, /files\[0\]\.path/],
    [{ format: 1, files: [{ path: 'x', bytes: -1, sha256 }] }, /files\[0\]\.bytes/],
    [{ format: 1, files: [{ path: 'x', bytes: 1, sha256: 'zz' }] }, /files\[0\]\.sha256/],
    [
      { format: 1, files: [], steps: Array.from({ length: 4097 }, (_, step) => step) },
      /manifest\.json: it has 4097 training steps, but at most 4096/,
    ],
    [{}, /format is undefined/],
    [null, /manifest\.json: it must hold a JSON object/],
    [[], /it must hold a JSON object with format and files/],
  ];
  for (const [json, pattern] of wrong) assert.throws(() => parseManifest(JSON.stringify(json), 'manifest.json'), pattern);
  assert.throws(() => parseManifest('{', 'manifest.json'), /manifest\.json: not valid JSON/);
  assert.ok(isOther('{"name":"An app","share_target":{"params":{"files":[]}}}'), 'that of a web app');
  for (const ours of ['{"format":2}', '{"files":[]}', '{', 'null']) assert.ok(!isOther(ours), ours);
});

test('paths stay in their folder', () => {
  for (const path of ['a', 'a/b.c', 'step1/model.safetensors']) assert.ok(isInside(path), path);
  for (const path of ['', '/a', 'a/', 'a//b', '../a', 'a/../b', './a', 'C:/a', 'https://x/y', 'a\\b']) assert.ok(!isInside(path), path);
  assert.deepEqual(
    checkpointSteps(['step10/model.safetensors', 'step2/model.safetensors.index.json', 'stepx/model.safetensors', 'step3/config.json']),
    [2, 10],
  );
  assert.deepEqual(checkpointSteps(['step07/model.safetensors', `step${2 ** 53}/model.safetensors`], [2 ** 53, 1.5, -1]), []);
});

test('what the disk refuses is an error of the disk, which names it', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'topk-lm-'));
  t.after(() => rmSync(root, { recursive: true }));
  for (const name of ['config.json', 'model.safetensors', 'cfg.json', 'sae_weights.safetensors']) writeFileSync(join(root, name), '{}');
  const folder = await new FolderFiles(root).open('');
  const refuse = () => {
    throw new Error('EACCES: permission denied');
  };
  const isSaid = (name: string) => (error: unknown) =>
    error instanceof TopKError && error.code === 'io' && error.message.startsWith(`${join(root, name)} cannot be read (EACCES`);
  t.mock.method(fs, 'readdirSync', refuse);
  assert.throws(() => new FolderFiles(root), isSaid(''));
  t.mock.method(fs.promises, 'open', async () => refuse());
  await assert.rejects(folder.read('model.safetensors', 0, 2), isSaid('model.safetensors'));
  t.mock.method(fs.promises, 'readFile', async () => refuse());
  await assert.rejects(saeFiles({ kind: 'path', path: root }, new AbortController().signal), isSaid('cfg.json'));
});

test('Node is never asked for 2 GiB at once, at which it would end the process', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'topk-lm-large-'));
  t.after(() => rmSync(root, { recursive: true }));
  writeFileSync(join(root, 'config.json'), '{}');
  const asked: number[] = [];
  const read = async (_bytes: Uint8Array, _at: number, bytesRead: number) => {
    asked.push(bytesRead);
    return { bytesRead };
  };
  t.mock.method(fs.promises, 'open', async () => ({ read, close: async () => {} }));
  const folder = await new FolderFiles(root).open('');
  const length = 2 ** 31 + 5;
  assert.equal(((await folder.read('model.safetensors', 0, length)) as Uint8Array).length, length);
  assert.equal(
    asked.reduce((sum, bytes) => sum + bytes),
    length,
  );
  assert.ok(asked.every((bytes) => bytes < 2 ** 31));
});

test('a folder that cannot be looked into is told from one without a model', () => {
  const root = mkdtempSync(join(tmpdir(), 'topk-lm-unreadable-'));
  throwsArgument(() => new FolderFiles(root), /has no config\.json/);
  throwsArgument(() => new FolderFiles(join(root, 'nothing')), /has no config\.json/);
  writeFileSync(join(root, 'file'), '');
  throwsArgument(() => new FolderFiles(join(root, 'file')), /has no config\.json/);
  symlinkSync('config.json', join(root, 'config.json')); // a circle: no rights are needed to be refused it
  assert.throws(
    () => new FolderFiles(root),
    (error) => error instanceof TopKError && error.code === 'io' && /config\.json cannot be read \(ELOOP/.test(error.message),
  );
  rmSync(root, { recursive: true });
});
