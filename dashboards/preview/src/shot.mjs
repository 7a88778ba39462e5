// A picture of a page: a server for one page on this host, and a browser without a window that looks at it.

import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import { readFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ICONS = fileURLToPath(new URL('../node_modules/@grafana/ui/dist/public/', import.meta.url));
/** Milliseconds of the page's own time until the picture is taken: everything is drawn long before. */
const PATIENCE = 15000;

/** Draws `data` into the PNG `file` and gives back what the page says of its panels. */
export async function shoot({ js, css }, data, size, file, chromium) {
  const said = { panels: [], problems: [] };
  const html = `<!doctype html><meta charset="utf-8"><title>preview</title><link rel="stylesheet" href="/page.css">
<div id="page"></div><script>window.__grafana_public_path__ = '/';</script><script src="/page.js"></script>`;
  const served = {
    '/': ['text/html', html],
    '/page.js': ['text/javascript', js],
    '/page.css': ['text/css', css],
    '/data.json': ['application/json', JSON.stringify(data)],
  };
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://page');
    if (request.method === 'POST') {
      let body = '';
      for await (const chunk of request) {
        body += chunk;
      }
      said[pathname === '/panels' ? 'panels' : 'problems'].push(...JSON.parse(body));
      response.end();
    } else if (served[pathname]) {
      const [type, body] = served[pathname];
      response.setHeader('content-type', `${type}; charset=utf-8`);
      response.end(body);
    } else {
      await icon(pathname, response);
    }
  });
  await new Promise(done => server.listen(0, '127.0.0.1', done));
  const profile = await mkdtemp(join(tmpdir(), 'preview-'));
  try {
    const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', `--user-data-dir=${profile}`];
    const picture = [`--screenshot=${file}`, `--window-size=${size.width},${size.height}`];
    const url = `http://127.0.0.1:${server.address().port}/`;
    await promisify(execFile)(chromium, [...flags, ...picture, `--virtual-time-budget=${PATIENCE}`, url], { timeout: 120000 });
  } finally {
    server.closeAllConnections();
    server.close();
    await rm(profile, { recursive: true, force: true });
  }
  return said;
}

async function icon(pathname, response) {
  const path = normalize(pathname.replace(/^\/build\//, ''));
  const svg = path.startsWith('img/icons/') ? await readFile(join(ICONS, path)).catch(() => undefined) : undefined;
  response.statusCode = svg ? 200 : 404;
  response.setHeader('content-type', 'image/svg+xml');
  response.end(svg);
}
