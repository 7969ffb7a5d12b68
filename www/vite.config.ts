import { readFileSync } from 'node:fs';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type Plugin } from 'vite';

/** What the page may do: its own files, and model folders over https. `vite dev` needs more, so only the built page says so. */
const POLICY = readFileSync(new URL('content-security-policy.txt', import.meta.url), 'utf8').trim();

const policy = (): Plugin => ({
  name: 'content-security-policy',
  apply: 'build',
  transformIndexHtml: () => [
    { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: POLICY }, injectTo: 'head-prepend' },
  ],
});

/** What a link to the site looks like elsewhere. Its image needs a whole address, which only who publishes the site knows: SITE_URL. */
const preview = (): Plugin => ({
  name: 'link-preview',
  transformIndexHtml: (html) => {
    const content = (pattern: RegExp) => pattern.exec(html)?.[1] ?? '';
    const base = process.env.SITE_URL ?? './';
    const facts = {
      'og:type': 'website',
      'og:title': content(/<title>([^<]*)</),
      'og:description': content(/name="description" content="([^"]*)"/),
      'og:image': `${base}preview.png`,
      ...(process.env.SITE_URL ? { 'og:url': base } : {}),
    };
    return Object.entries(facts).map(([property, text]) => ({
      tag: 'meta',
      attrs: { property, content: text },
      injectTo: 'head' as const,
    }));
  },
});

export default defineConfig({
  // Relative, so that the site runs under any folder.
  base: './',
  plugins: [svelte(), policy(), preview()],
  // The engine's worker is a module that imports others.
  worker: { format: 'es' },
  // Nothing as data: URLs, which the policy forbids.
  build: {
    target: 'es2023',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: 'packages.json' }, // read and taken away by scripts/lib/site.mjs
  },
});
