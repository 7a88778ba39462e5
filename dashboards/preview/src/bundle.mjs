// The program of the page: Grafana's components and ours in one file for the browser.

import { build } from 'esbuild';
import { fileURLToPath } from 'node:url';

const page = name => fileURLToPath(new URL(`../page/${name}`, import.meta.url));

/** `{js, css}` of the page. */
export async function bundle() {
  const { outputFiles } = await build({
    entryPoints: [page('page.jsx')],
    bundle: true,
    write: false,
    outdir: 'out',
    format: 'iife',
    jsx: 'automatic',
    target: 'chrome120',
    logLevel: 'error',
    define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
    loader: { '.woff2': 'dataurl', '.woff': 'empty', '.ttf': 'dataurl', '.svg': 'dataurl' },
    alias: { 'react-custom-scrollbars-2': page('scrollbars.jsx') },
  });
  const text = ending => outputFiles.find(({ path }) => path.endsWith(ending))?.text ?? '';
  return { js: text('.js'), css: text('.css') };
}
