// nginx and Apache as docs/hosting.md configures them, on a free port, with a copy of the built site.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { inRoot, paths } from '../../scripts/lib/paths.mjs';
import { which } from '../../scripts/lib/run.mjs';
import { STEP_TIMEOUT } from '../browser/harness.mjs';
import { freePort, hasEnded } from '../python/host.mjs';
import { modelFolder } from './fixture.mjs';

/** Where the page on hosting says that the site lies. */
const DOCUMENTED = '/var/www/topk-lm';

/** A model without a manifest.json, below models/ like those of the site. */
export const UNLISTED = 'Unlisted';

/** The block of docs/hosting.md for a server, with this folder and port for its own. */
function documented(language, folder, port) {
  const [, block] = new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(fs.readFileSync(inRoot('docs/hosting.md'), 'utf8'));
  return block.replaceAll(DOCUMENTED, folder).replace('listen 80;', `listen 127.0.0.1:${port};`);
}

const isRoot = () => process.getuid?.() === 0;

function nginx({ folder, home, port }) {
  const program = which('nginx');
  const types = ['/etc/nginx/mime.types', '/opt/homebrew/etc/nginx/mime.types', '/usr/local/etc/nginx/mime.types'].find(fs.existsSync);
  if (!program || !types) return null;
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${home}/${name};`);
  const config = `daemon off;
${isRoot() ? 'user root;' : ''}
pid ${home}/pid;
error_log stderr;
events {}
http {
include ${types};
default_type application/octet-stream;
access_log off;
${temporary.join('\n')}
${documented('nginx', folder, port)}
}`;
  return { program, config, flags: (file) => ['-p', home, '-e', 'stderr', '-c', file] };
}

/** What a server has from the start: the docs name what has to be added (mod_headers). */
const MODULES = ['mpm_event', 'unixd', 'authz_core', 'mime', 'dir', 'filter', 'deflate', 'headers'];

function apache({ folder, home, port }) {
  const program = which('apache2', 'httpd');
  const modules = ['/usr/lib/apache2/modules', '/usr/lib64/httpd/modules', '/usr/libexec/apache2'].find(fs.existsSync);
  if (!program || !modules) return null;
  const config = `ServerRoot ${home}
ServerName localhost
Listen 127.0.0.1:${port}
PidFile ${home}/pid
DefaultRuntimeDir ${home}
Mutex file:${home}
ErrorLog ${home}/log
${MODULES.map((name) => `<IfModule !${name}_module>\nLoadModule ${name}_module ${modules}/mod_${name}.so\n</IfModule>`).join('\n')}
${isRoot() ? 'User nobody' : ''}
TypesConfig ${['/etc/mime.types', '/etc/apache2/mime.types'].find(fs.existsSync)}
DirectoryIndex index.html
DocumentRoot ${folder}
<Directory />
AllowOverride None
Require all denied
</Directory>
${documented('apache', folder, port)}`;
  return { program, config, flags: (file) => ['-f', file, '-D', 'FOREGROUND'] };
}

const readLog = (home) => (fs.existsSync(`${home}/log`) ? fs.readFileSync(`${home}/log`, 'utf8') : '');

const SERVERS = { nginx, Apache: apache };
export const NAMES = Object.keys(SERVERS);

/** Starts one; its URL, or null, with a word about it, where it is not installed. It ends with the test. */
export async function startWebServer(t, name) {
  const top = fs.mkdtempSync(path.join(os.tmpdir(), 'topk-lm-server-'));
  fs.chmodSync(top, 0o755); // its workers run as somebody else
  t.after(() => fs.rmSync(top, { recursive: true, force: true }));
  const [folder, home] = ['site', 'home'].map((part) => path.join(top, part));
  fs.mkdirSync(home);
  const port = await freePort();
  const server = SERVERS[name]({ folder, home, port });
  if (!server) {
    t.skip(`${name} was not found: install it (apt-get install nginx apache2) to try what docs/hosting.md says about it`);
    return null;
  }
  fs.cpSync(paths.site, folder, { recursive: true, mode: fs.constants.COPYFILE_FICLONE });
  for (const file of ['config.json', 'model.safetensors'])
    fs.cpSync(path.join(modelFolder, file), path.join(folder, 'models', UNLISTED, file));
  const file = path.join(top, 'server.conf');
  fs.writeFileSync(file, server.config);
  let said = '';
  const child = spawn(server.program, server.flags(file), { stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += data));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  t.after(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  const url = `http://localhost:${port}/`;
  for (const end = Date.now() + STEP_TIMEOUT; Date.now() < end; ) {
    if (hasEnded(child)) throw new Error(`${name} ended: ${said}${readLog(home)}`);
    if ((await fetch(url).catch(() => null)) !== null) return url;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${name} does not answer at ${url}: ${said}${readLog(home)}`);
}
