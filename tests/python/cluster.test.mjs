// examples/cluster: the analysis over a Ray cluster, one of its workers killed on the way, and over Slurm's variables; byte for byte as on one machine.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { buildCommand } from '../../scripts/lib/command.mjs';
import { inRoot, paths } from '../../scripts/lib/paths.mjs';
import { contents } from './contents.mjs';
import { environment, hasEnded } from './host.mjs';

const model = path.join(paths.models, 'Llama-TopK-Stories-16M');
const root = inRoot('target/python/cluster-work');
const corpus = path.join(root, 'corpus.txt');
const SHARDS = 6;

fs.rmSync(root, { recursive: true, force: true });
fs.mkdirSync(root, { recursive: true });
const sentences = ['The dog ran to the park.', 'Lily had a red ball.', 'A bird sang in the tree all day.', 'Tom was sad, so he went home.'];
const story = (i) => Array.from({ length: 24 }, (_, j) => sentences[(i * 7 + j * j) % sentences.length]).join(' ');
fs.writeFileSync(corpus, Array.from({ length: 100 }, (_, i) => `${story(i)} ${i}`).join('\n<|endoftext|>\n'));

const binary = await buildCommand();
const analyze = (out, ...more) => {
  const done = spawnSync(binary, ['analyze', '--model', model, '--corpus', corpus, '--out', out, '--threads', '1', ...more], {
    encoding: 'utf8',
  });
  assert.equal(done.status, 0, done.stderr);
};
const whole = path.join(root, 'whole');
analyze(whole);

function assertWhole(out) {
  const [expected, found] = [contents(whole), contents(out)];
  assert.deepEqual([...found.keys()], [...expected.keys()]);
  for (const [name, bytes] of expected) assert.ok(bytes.equals(found.get(name)), name);
}

/** The processes of the command that write below `folder`, by /proc: [pid, parent]. */
function running(folder) {
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const words = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        if (words[0] !== binary || !words.some((word) => word.startsWith(folder))) return [];
        return [[Number(pid), Number(/^PPid:\t(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1])]];
      } catch {
        return []; // it has just ended
      }
    });
}

test('Ray: a killed worker, an interrupted run, the bytes of one machine', async (t) => {
  if (process.platform !== 'linux') return t.skip('the test finds workers in /proc');
  const bin = await environment(t, 'cluster');
  if (!bin) return;
  const out = path.join(root, 'ray');
  const script = inRoot('examples/cluster/ray_analyze.py');
  const flags = ['--model', model, '--corpus', corpus, '--out', out, '--shards', String(SHARDS), '--workers', '2', '--binary', binary];
  const env = { ...process.env, RAY_USAGE_STATS_ENABLED: '0' };
  const start = () => {
    const child = spawn(bin('python'), [script, ...flags], { env });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += data));
    return { child, said: () => said, ended: new Promise((resolve) => child.once('exit', resolve)) };
  };
  const until = async (what, { child, said }) => {
    for (const end = Date.now() + 600_000; !what(said()); ) {
      assert.ok(!hasEnded(child) && Date.now() < end, said());
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };

  // Interrupted after a shard: the next run keeps what is done.
  const first = start();
  await until((said) => /[1-9] of 6 shards are done \(/.test(said), first);
  first.child.kill('SIGINT');
  await first.ended;
  const kept = fs.readdirSync(`${out}.shards`).filter((name) => name.endsWith('.done'));
  assert.ok(kept.length > 0 && kept.length < SHARDS, String(kept));

  const second = start();
  let found = [];
  await until(() => {
    found = running(`${out}.shards`);
    return found.length > 0;
  }, second);
  const [[, worker]] = found;
  process.kill(worker, 'SIGKILL'); // not the command: that ends with it
  assert.equal(await second.ended, 0, second.said());
  assert.match(second.said(), new RegExp(`^${kept.length} of 6 shards are done\n`, 'm'));
  assert.match(second.said(), /6 of 6 shards are done/);
  assert.deepEqual(running(`${out}.shards`), []);
  assertWhole(out);

  const wrong = spawnSync(bin('python'), [script, ...flags.with(1, path.join(root, 'no-model')), '--', '--part', '8'], {
    env,
    encoding: 'utf8',
  });
  assert.match(wrong.stderr, /error: .*ray\.shards was made by another command; give another --out, or delete it/);
});

test('an error of the command ends the run and says which', async (t) => {
  if (process.platform !== 'linux') return t.skip('as above');
  const bin = await environment(t, 'cluster');
  if (!bin) return;
  const script = inRoot('examples/cluster/ray_analyze.py');
  const flags = [
    '--model',
    root,
    '--corpus',
    corpus,
    '--out',
    path.join(root, 'wrong'),
    '--shards',
    '2',
    '--workers',
    '2',
    '--binary',
    binary,
  ];
  const done = spawnSync(bin('python'), [script, ...flags], { encoding: 'utf8', env: { ...process.env, RAY_USAGE_STATS_ENABLED: '0' } });
  assert.equal(done.status, 1, done.stdout);
  assert.match(done.stderr, /error: .*config\.json/);
});

test('Slurm: the job array and the merge, with the variables that Slurm sets', { skip: process.platform === 'win32' }, () => {
  const out = path.join(root, 'slurm');
  const PATH = `${path.dirname(binary)}:${process.env.PATH}`;
  const submit = (script, env) => {
    const done = spawnSync('bash', [inRoot('examples/cluster', script)], {
      env: { ...process.env, PATH, OUT: out, ...env },
      encoding: 'utf8',
    });
    assert.equal(done.status, 0, done.stderr);
  };
  for (const task of ['1', '2']) {
    submit('analyze.sbatch', {
      MODEL: model,
      CORPUS: corpus,
      SLURM_ARRAY_TASK_ID: task,
      SHARDS: '2',
      SLURM_CPUS_PER_TASK: '1',
    });
  }
  submit('merge.sbatch', {});
  assertWhole(out);
});
