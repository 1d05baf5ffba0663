/** A fake server extension behind `ServerConnection`: answers requests, and remembers them. */

import { ServerConnection } from '@jupyterlab/services';

import type { Preview, ServerStatus } from '../src/api';
import { serverStatus } from './fixtures';
import type { RawEntry } from './fixtures';

/** The time that ServerConnection adds to every GET. */
const CACHE_BUSTER = /&?\d{13}$/;

type Answer = readonly [status: number, document: unknown];

export class FakeServer {
  status: ServerStatus = serverStatus();
  runs: RawEntry[] = [];
  preview: Preview = { root: '/w', files: 3, size: 1200, more: false, refused: null };
  refusal: Answer | null = null;
  down = false;
  readonly requests: string[] = [];
  readonly bodies: unknown[] = [];
  /** While set, answers wait for it. */
  gate: Promise<void> | null = null;

  readonly settings = ServerConnection.makeSettings({
    baseUrl: 'http://lab.example/base/',
    token: '',
    fetch: (input, init) => this.answer(new Request(input, init))
  });

  private async answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const path = url.pathname.replace('/base/dotscience/api/', '');
    const query = decodeURIComponent(url.search).replace(CACHE_BUSTER, '');
    this.requests.push(`${request.method} ${path}${query}`);
    if (request.method === 'POST') {
      this.bodies.push(await request.json());
    }
    await this.gate;
    if (this.down) {
      throw new TypeError('connection refused');
    }
    const [status, document] = this.find(request.method, path, url.searchParams);
    return new Response(JSON.stringify(document), { status });
  }

  private find(method: string, path: string, query: URLSearchParams): Answer {
    if (method === 'POST' && this.refusal) {
      return this.refusal;
    }
    switch (`${method} ${path}`) {
      case 'GET status':
        return [200, this.status];
      case 'GET runs':
        return [200, this.page(query)];
      case 'GET tracking':
        return [200, this.preview];
      case 'POST tracking':
        this.status = serverStatus();
        return [201, this.status];
      case 'POST commits':
        return [201, { commit: 'd'.repeat(64), files: 3, new_bytes: 1500, runs: [] }];
      case 'POST push':
        return [202, {}];
    }
    const found = this.runs.find(entry => path === `runs/${entry.run_id}`);
    return found
      ? [200, { ...found, environment: null }]
      : [404, { code: 'not-found', message: `nothing at ${path}`, hint: 'look elsewhere' }];
  }

  private page(query: URLSearchParams): unknown {
    const notebook = query.get('notebook');
    const before = Number(query.get('before') ?? Infinity);
    const all = this.runs.filter(entry => notebook === null || entry.notebook === notebook);
    const older = all.filter(entry => entry.seq < before).sort((a, b) => b.seq - a.seq);
    const runs = older.slice(0, Number(query.get('limit')));
    const last = runs.at(-1);
    return { runs, next_before: last && older.length > runs.length ? last.seq : null, total: all.length };
  }
}
