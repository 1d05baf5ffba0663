import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { ApiProblem, DotscienceApi } from '../src/api';
import { DotscienceModel, PAGE } from '../src/model';
import { RunBoard } from '../src/run-board';
import { FakeServer } from './fake-server';
import { rawEntry, serverStatus } from './fixtures';

let server: FakeServer;
let board: RunBoard;
let model: DotscienceModel;
let saves: number;

beforeEach(() => {
  server = new FakeServer();
  board = new RunBoard();
  saves = 0;
  model = new DotscienceModel({
    api: new DotscienceApi(server.settings),
    board,
    saveNotebooks: () => {
      saves += 1;
      return Promise.resolve();
    }
  });
});

afterEach(() => model.dispose());

describe('refresh', () => {
  it('fetches status and both lists', async () => {
    server.runs = [rawEntry({ summary: { loss: 1 } }), rawEntry({}, { notebook: 'deep/b.ipynb' })];
    model.setNotebook('deep/b.ipynb');
    await model.refresh();
    expect(model.state.allRuns.total).toBe(2);
    expect(model.state.allRuns.runs.at(-1)?.record.summary).toEqual({ loss: 1 });
    expect(model.state.notebookRuns.runs.map(run => run.notebook)).toEqual(['deep/b.ipynb']);
    expect(server.requests).toContain('GET runs?path=deep&limit=50&notebook=deep/b.ipynb');
  });

  it('never overlaps, and merges a burst into one more', async () => {
    let open = (): void => undefined;
    server.gate = new Promise(resolve => (open = resolve));
    const first = model.refresh();
    await Promise.resolve();
    const others = Array.from({ length: 20 }, () => model.refresh());
    open();
    await Promise.all([first, ...others]);
    expect(server.requests.filter(request => request.startsWith('GET status'))).toHaveLength(2);
  });

  it('says why it failed, keeps what it had, and recovers', async () => {
    server.runs = [rawEntry()];
    await model.refresh();
    server.down = true;
    await model.refresh();
    expect(model.state.problem?.code).toBe('server-unreachable');
    expect(model.state.allRuns.total).toBe(1);
    server.down = false;
    await model.refresh();
    expect(model.state.problem).toBeNull();
  });

  it('asks for no runs while no committer answers', async () => {
    server.status = serverStatus({ committer: null, error: 'it stopped' });
    await model.refresh();
    expect(server.requests).toEqual(['GET status?path']);
    expect(model.state.server?.error).toBe('it stopped');
  });

  it('looks once at a folder that is not tracked', async () => {
    server.status = serverStatus({ tracked: false, committer: null });
    await model.refresh();
    await model.refresh();
    expect(model.state.preview?.files).toBe(3);
    expect(server.requests.filter(request => request.startsWith('GET tracking'))).toHaveLength(1);
  });

  it('tells the board how far each run has come', async () => {
    const run = rawEntry({}, { state: 'pending' });
    server.runs = [run];
    let changes = 0;
    board.changed.connect(() => (changes += 1));
    await model.refresh();
    await model.refresh();
    expect(board.stateOf(run.run_id)).toBe('pending');
    server.runs = [{ ...run, state: 'pushed' }];
    await model.refresh();
    expect(board.stateOf(run.run_id)).toBe('pushed');
    expect(changes).toBe(2);
  });
});

describe('lists', () => {
  it('grow page by page and stay grown', async () => {
    server.runs = Array.from({ length: 320 }, () => rawEntry());
    await model.refresh();
    expect(model.state.allRuns.runs).toHaveLength(PAGE);
    for (let page = 0; page < 5; page++) {
      await model.showMore('allRuns');
    }
    expect(model.state.allRuns.runs).toHaveLength(6 * PAGE);
    server.runs.push(rawEntry());
    await model.refresh();
    expect(model.state.allRuns.runs).toHaveLength(6 * PAGE);
    expect(new Set(model.state.allRuns.runs.map(run => run.run_id)).size).toBe(6 * PAGE);
  });
});

describe('the notebook in front', () => {
  it('takes its folder along', async () => {
    server.runs = [rawEntry()];
    model.setNotebook('one/a.ipynb');
    await model.refresh();
    model.setNotebook('two/b.ipynb');
    expect(model.state.server).toBeNull();
    expect(model.state.allRuns.total).toBe(0);
    await model.refresh();
    expect(server.requests.at(-1)).toContain('path=two');
  });

  it('drops an answer about the notebook before', async () => {
    server.runs = [rawEntry({}, { notebook: 'a.ipynb' })];
    let open = (): void => undefined;
    server.gate = new Promise(resolve => (open = resolve));
    model.setNotebook('a.ipynb');
    await Promise.resolve();
    model.setNotebook('b.ipynb');
    open();
    await model.refresh();
    expect(model.state.notebookRuns.total).toBe(0);
  });
});

describe('details', () => {
  it('show what is known at once, then the whole run', async () => {
    server.runs = [rawEntry({ description: 'first' })];
    await model.refresh();
    const runId = model.state.allRuns.runs[0]?.run_id ?? '';
    const arrived = model.select(runId);
    expect(model.state.selection?.detail?.record.description).toBe('first');
    await arrived;
    expect(model.state.selection?.problem).toBeNull();
    await model.select(null);
    expect(model.state.selection).toBeNull();
  });

  it('say so when the run is unknown', async () => {
    await model.select('nothing/../here');
    expect(model.state.selection?.problem?.hint).toBe('look elsewhere');
    expect(server.requests.at(-1)).toContain('GET runs/nothing%2F..%2Fhere');
  });
});

describe('actions', () => {
  it('save notebooks before a commit', async () => {
    await model.commit('tried it');
    expect(saves).toBe(1);
    expect(server.bodies).toEqual([{ description: 'tried it' }]);
    expect(model.state.outcome).toMatchObject({ files: 3 });
    expect(model.state.busy).toBeNull();
  });

  it('keep what went wrong', async () => {
    server.refusal = [409, { code: 'copied-folder', message: 'this folder is a copy', hint: 'run ds init' }];
    await model.commit('');
    expect(model.state.outcome).toBeInstanceOf(ApiProblem);
    expect(model.state.outcome).toMatchObject({ code: 'copied-folder', message: 'this folder is a copy', hint: 'run ds init' });
  });

  it('run one at a time', async () => {
    await Promise.all([model.commit('a'), model.commit('b'), model.push()]);
    expect(server.bodies).toEqual([{ description: 'a' }]);
  });

  it('track a folder', async () => {
    server.status = serverStatus({ tracked: false, committer: null });
    model.setNotebook('x/n.ipynb');
    await model.refresh();
    await model.track();
    expect(server.bodies).toEqual([{ path: 'x' }]);
    expect(model.state.server?.tracked).toBe(true);
    expect(model.state.preview).toBeNull();
  });
});

describe('after dispose', () => {
  it('nothing changes any more', async () => {
    const refreshing = model.refresh();
    model.dispose();
    let changes = 0;
    model.changed.connect(() => (changes += 1));
    await refreshing;
    expect(changes).toBe(0);
  });
});
