import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type Plugin } from 'vite';

/** What the page may do: its own files, and model folders over https. `vite dev` needs more, so only the built page says so. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "connect-src 'self' https:",
  "img-src 'self' data: blob:",
  "style-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

const policy = (): Plugin => ({
  name: 'content-security-policy',
  apply: 'build',
  transformIndexHtml: () => [
    { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: POLICY }, injectTo: 'head-prepend' },
  ],
});

export default defineConfig({
  // Relative, so that the site runs under any folder.
  base: './',
  plugins: [svelte(), policy()],
  // The engine's worker is a module that imports others.
  worker: { format: 'es' },
  // Nothing as data: URLs, which the policy forbids.
  build: { target: 'es2023', assetsInlineLimit: 0, modulePreload: { polyfill: false } },
});
