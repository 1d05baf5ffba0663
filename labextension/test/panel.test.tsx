import { Signal } from '@lumino/signaling';
import { cleanup, fireEvent, render, screen, within } from '@testing-library/react';
import * as React from 'react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { ApiProblem } from '../src/api';
import { PanelView } from '../src/components/panel-view';
import type { IDotscience, State } from '../src/tokens';
import { committerStatus, detail, entry, serverStatus } from './fixtures';

afterEach(cleanup);

const STATE: State = {
  notebook: null,
  server: serverStatus(),
  problem: null,
  notebookRuns: { runs: [], total: 0 },
  allRuns: { runs: [], total: 0 },
  selection: null,
  preview: null,
  busy: null,
  outcome: null
};

const SIGNING_IN = 'http://127.0.0.1:8800/login?next=%2Fp%2Fp1#code=c';

/** A model that holds still; only what a test is about is not the default. */
class StillModel implements IDotscience {
  constructor(news: Partial<State>) {
    this.state = { ...STATE, ...news };
  }

  state: State;
  readonly changed = new Signal<this, void>(this);
  readonly refresh = vi.fn(() => Promise.resolve());
  readonly setNotebook = vi.fn();
  readonly select = vi.fn((_runId: string | null) => Promise.resolve());
  readonly showMore = vi.fn((_list: 'notebookRuns' | 'allRuns') => Promise.resolve());
  readonly commit = vi.fn((_description: string) => Promise.resolve());
  readonly push = vi.fn(() => Promise.resolve());
  readonly hubLink = vi.fn((_runId: string | null) => Promise.resolve(SIGNING_IN));
  readonly track = vi.fn(() => Promise.resolve());
}

function show(news: Partial<State> = {}): StillModel {
  const model = new StillModel(news);
  render(<PanelView model={model} />);
  return model;
}

function listOf(...runs: ReturnType<typeof entry>[]): State['allRuns'] {
  return { runs, total: runs.length };
}

describe('status', () => {
  it('says what the committer says, and links to the hub', () => {
    show();
    expect(screen.getByText('Everything is pushed')).toBeTruthy();
    const link = screen.getByRole<HTMLAnchorElement>('link', { name: 'Open churn on the hub' });
    expect(link.href).toBe('http://127.0.0.1:8800/p/p1');
    expect(screen.queryByRole('button', { name: 'Try again' })).toBeNull();
  });

  it('never links to what is not http', () => {
    const hub = { url: 'javascript:alert(1)', project_id: 'p', project_name: 'evil', unreachable_since: null };
    show({ server: serverStatus({ committer: committerStatus({ hub }) }) });
    expect(screen.queryByRole('link')).toBeNull();
    expect(screen.getByText('evil')).toBeTruthy();
  });

  describe('a click on the link to the hub', () => {
    const tab = { opener: window as Window | null, location: { replace: vi.fn() } };
    const open = vi.fn((): Window | null => tab as unknown as Window);

    beforeEach(() => {
      tab.location.replace.mockClear();
      open.mockClear();
      vi.stubGlobal('open', open);
    });
    afterEach(() => void vi.unstubAllGlobals());

    /** Clicks, and tells whether the browser would follow the link by itself. */
    function click(options: MouseEventInit = {}): boolean {
      const link = screen.getByRole('link', { name: 'Open churn on the hub' });
      link.addEventListener('click', event => event.defaultPrevented || setTimeout(() => event.preventDefault()));
      return fireEvent.click(link, options);
    }

    it('opens a tab that signs in, and knows nothing of this one', async () => {
      const model = show();
      expect(click()).toBe(false);
      expect(model.hubLink).toHaveBeenCalledWith(null);
      await vi.waitFor(() => expect(tab.location.replace).toHaveBeenCalledWith(SIGNING_IN));
      expect(tab.opener).toBeNull();
    });

    it.each([
      'https://evil.example/',
      'javascript:alert(1)',
      'http://127.0.0.1:9/login',
      '//evil.example',
      ''
    ])('leads to the page itself where the server answers %j', async answer => {
      const model = show();
      model.hubLink.mockResolvedValue(answer);
      click();
      await vi.waitFor(() => expect(tab.location.replace).toHaveBeenCalledWith('http://127.0.0.1:8800/p/p1'));
    });

    it('leads to the page itself where the server refuses', async () => {
      const model = show();
      model.hubLink.mockRejectedValue(new ApiProblem('forbidden', 'no', ''));
      click();
      await vi.waitFor(() => expect(tab.location.replace).toHaveBeenCalledWith('http://127.0.0.1:8800/p/p1'));
    });

    it.each([{ ctrlKey: true }, { metaKey: true }, { shiftKey: true }])('is the browser’s own with %o', options => {
      const model = show();
      expect(click(options)).toBe(true);
      expect(model.hubLink).not.toHaveBeenCalled();
    });

    it('is the browser’s own where it lets no tab be opened', () => {
      open.mockReturnValueOnce(null);
      const model = show();
      expect(click()).toBe(true);
      expect(model.hubLink).not.toHaveBeenCalled();
    });

    it.each(['https://hub.example.org', 'http://localhost.example.org', 'http://127.0.0.1.example.org', 'http://10.0.0.1'])(
      'asks for no sign-in on %s',
      url => {
        const hub = { url, project_id: 'p1', project_name: 'churn', unreachable_since: null };
        const model = show({ server: serverStatus({ committer: committerStatus({ hub }) }) });
        expect(click()).toBe(true);
        expect(open).not.toHaveBeenCalled();
        expect(model.hubLink).not.toHaveBeenCalled();
      }
    );
  });

  it('offers to try again when the hub is unreachable', () => {
    const committer = committerStatus({ state: 'unreachable', message: 'The hub does not answer', unpushed: 3 });
    const model = show({ server: serverStatus({ committer }) });
    expect(screen.getByText('3 commits to push')).toBeTruthy();
    expect(screen.getByText(/saved here and is pushed as soon as/)).toBeTruthy();
    fireEvent.click(screen.getByRole('button', { name: 'Try again' }));
    expect(model.push).toHaveBeenCalledOnce();
  });

  it.each([
    [{ push_bytes_done: 12_000_000, push_bytes_total: 80_000_000 }, 'Pushing 3 of 5 commits (12.0 MB of 80.0 MB)'],
    [{ push_bytes_done: 0, push_bytes_total: 0 }, 'Pushing 3 of 5 commits'],
    [{}, 'Pushing 3 of 5 commits'],
    [{ pushed: 0, push_total: 1 }, 'Pushing 1 of 1 commit'],
    [{ pushed: 5 }, 'Pushing 5 of 5 commits']
  ])('says how far a push is: %j', (news, sentence) => {
    const committer = committerStatus({ state: 'pushing', pushed: 2, unpushed: 3, push_total: 5, ...news });
    show({ server: serverStatus({ committer }) });
    expect(screen.getByText(sentence)).toBeTruthy();
  });

  it('counts nothing to push where there is no hub', () => {
    show({ server: serverStatus({ committer: committerStatus({ hub: null, unpushed: 3 }) }) });
    expect(screen.queryByText(/to push/)).toBeNull();
    expect(screen.getByText(/stay on this machine/)).toBeTruthy();
  });

  it('says what to do about an error', () => {
    const error = { type: 'notebook-unreadable', detail: 'a.ipynb is not JSON', hint: 'Save it again', notebook: 'a.ipynb' };
    show({ server: serverStatus({ committer: committerStatus({ error }) }) });
    expect(within(screen.getByRole('alert')).getByText('Save it again')).toBeTruthy();
  });

  it('tells a starting committer from one that is gone', () => {
    show({ server: serverStatus({ committer: null }) });
    expect(screen.getByText('The committer is starting')).toBeTruthy();
    cleanup();
    show({ server: serverStatus({ committer: null, error: 'The committer stopped with status 1' }) });
    expect(screen.getByText('The committer stopped with status 1')).toBeTruthy();
    expect(screen.getByRole('button', { name: 'Try again' })).toBeTruthy();
  });

  it('says when the server does not answer', () => {
    show({ server: null, problem: new ApiProblem('server-unreachable', 'connection refused', '') });
    expect(screen.getByText(/does not answer for Dotscience: connection refused/)).toBeTruthy();
  });
});

describe('save and push', () => {
  it('sends the description', () => {
    const model = show();
    fireEvent.change(screen.getByLabelText('Describe your commit'), { target: { value: '  tried it ' } });
    fireEvent.click(screen.getByRole('button', { name: 'Save and push data' }));
    expect(model.commit).toHaveBeenCalledWith('tried it');
  });

  it('is not offered while something is under way', () => {
    show({ busy: 'commit' });
    expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Saving …' }).disabled).toBe(true);
  });

  it('says how it ended', () => {
    show({ outcome: { commit: 'abcdef0123456789', files: 3, new_bytes: 1500, runs: [] } });
    expect(screen.getByText('Committed abcdef01: 3 files, 1.5 kB new')).toBeTruthy();
    cleanup();
    show({ outcome: new ApiProblem('disk-full', 'no space is left', 'free 1 GiB') });
    expect(screen.getByText('free 1 GiB')).toBeTruthy();
  });
});

describe('runs', () => {
  it('are listed with numbers, badges and marks', () => {
    show({
      allRuns: listOf(
        entry({ description: 'Deeper trees', summary: { accuracy: 0.97312345 } }),
        entry({ error: '', summary: {} }, { state: 'committed' }),
        entry({ authority: 'correction' }, { notebook: null })
      )
    });
    expect(screen.getByText('0.97312')).toBeTruthy();
    expect(screen.getByText('failed')).toBeTruthy();
    expect(screen.getByText('Unexplained changes')).toBeTruthy();
    expect(screen.getByText('correction')).toBeTruthy();
  });

  it('open their details', () => {
    const run = entry({ description: 'Deeper trees' });
    const model = show({ allRuns: listOf(run) });
    fireEvent.click(screen.getByRole('button', { name: /Deeper trees/ }));
    expect(model.select).toHaveBeenCalledWith(run.run_id);
  });

  it('of the notebook in front come first', () => {
    const run = entry({ description: 'Deeper trees' });
    show({ notebook: 'a.ipynb', notebookRuns: listOf(run), allRuns: listOf(run) });
    const regions = screen.getAllByRole('region').map(region => region.getAttribute('aria-labelledby'));
    expect(regions.filter(Boolean)).toHaveLength(2);
    expect(screen.getByRole('button', { name: /Runs of this notebook/ })).toBeTruthy();
    expect(screen.getAllByText('Deeper trees')).toHaveLength(1);
    cleanup();
    const other = entry({ description: 'elsewhere' }, { notebook: 'b.ipynb' });
    show({ notebook: 'a.ipynb', notebookRuns: listOf(run), allRuns: { runs: [other, run], total: 5 } });
    expect(screen.getByRole('button', { name: /^Other runs ?4$/ })).toBeTruthy();
    expect(screen.getAllByText('Deeper trees')).toHaveLength(1);
    expect(screen.getByRole('button', { name: 'Show more (3 left)' })).toBeTruthy();
  });

  it('that are not published yet come first, also where there is no other', () => {
    const record = entry({ description: '<i>long</i> one' }).record;
    show({ allRuns: { runs: [], total: 0, running: [{ run_id: 'r', record, latest: { loss: 0.25 } }] } });
    expect(screen.getByRole('button', { name: /^Running/ })).toBeTruthy();
    expect(screen.getByText('<i>long</i> one')).toBeTruthy();
    expect(screen.getByText('0.25')).toBeTruthy();
  });

  it('are searched by all their words, and what was not searched is said', () => {
    const runs = [
      entry({ description: 'Deeper trees', parameters: { rate: 0.25 } }),
      entry({ description: 'Deeper still', models: [{ name: 'churn', type: 'sklearn' }] }),
      entry({ description: '<b>odd</b>', summary: { loss: null } })
    ];
    const model = show({ allRuns: { runs, total: 60 } });
    const search = (words: string): void =>
      void fireEvent.change(screen.getByRole('searchbox', { name: 'Search runs' }), { target: { value: words } });
    search('DEEPER 0.25');
    expect(screen.getByText('Deeper trees')).toBeTruthy();
    expect(screen.queryByText('Deeper still')).toBeNull();
    search('churn');
    expect(screen.getByText('Deeper still')).toBeTruthy();
    search('loss none');
    expect(screen.getByText('<b>odd</b>')).toBeTruthy();
    search('nobody');
    expect(screen.getByText('No run has these words.')).toBeTruthy();
    fireEvent.click(screen.getByRole('button', { name: 'Search older runs (57 left)' }));
    expect(model.showMore).toHaveBeenCalledWith('allRuns');
    search(' ');
    expect(screen.getByText('Deeper trees')).toBeTruthy();
  });

  it('are marked where a later run has overwritten their files', () => {
    show({ allRuns: listOf(entry({ outputs: [{ path: 'model.pkl', overwritten: true }] }), entry()) });
    expect(screen.getAllByText('overwritten')).toHaveLength(1);
    expect(screen.getByText('overwritten').title).toContain('model.pkl');
  });

  it('can be asked for in pages', () => {
    const model = show({ allRuns: { runs: [entry()], total: 120 } });
    fireEvent.click(screen.getByRole('button', { name: 'Show more (119 left)' }));
    expect(model.showMore).toHaveBeenCalledWith('allRuns');
  });

  it('have an example where there are none', () => {
    show();
    expect(screen.getByText(/ds.publish\(\)$/)).toBeTruthy();
  });
});

describe('details', () => {
  it('show everything, and at most ten files', () => {
    const files = Array.from({ length: 13 }, (_, index) => ({ path: `data/${index}.csv`, size: 1000 }));
    const run = detail({
      parameters: { rate: 0.1 },
      summary: { loss: 0.5 },
      labels: { stage: 'tuning' },
      inputs: files,
      outputs: [{ path: '/tmp/x', outside: true }, { path: 'gone', missing: true }],
      models: [{ name: 'churn', type: 'sklearn-model', version: '1.7' }],
      notebook_stale: true,
      warnings: ['input gone does not exist']
    });
    show({ selection: { runId: run.run_id, detail: run, problem: null } });
    expect(screen.getAllByText(/^data\//)).toHaveLength(10);
    expect(screen.getByText('… and 3 more files')).toBeTruthy();
    for (const text of ['outside the folder', 'missing', 'sklearn-model 1.7', 'input gone does not exist', 'tuning']) {
      expect(screen.getByText(text)).toBeTruthy();
    }
    expect(screen.getByText(/had not been saved/)).toBeTruthy();
  });

  it('of a correction say what to do', () => {
    const run = detail({ authority: 'correction' });
    show({ selection: { runId: run.run_id, detail: run, problem: null } });
    expect(screen.getByText('Files changed that no run explains: tag them with ds.input or ds.output.')).toBeTruthy();
  });

  it('go back to the lists', () => {
    const model = show({ selection: { runId: 'x', detail: null, problem: new ApiProblem('not-found', 'no run x', '') } });
    expect(screen.getByText('no run x')).toBeTruthy();
    fireEvent.click(screen.getByRole('button', { name: '← All runs' }));
    expect(model.select).toHaveBeenCalledWith(null);
  });
});

describe('a folder that is not tracked', () => {
  const server = serverStatus({ tracked: false, root: null, committer: null });
  const preview = { root: '/home/u/proj', files: 1200, size: 5_000_000, more: false, refused: null };

  it('can be tracked', () => {
    const model = show({ server, preview });
    expect(screen.getByText('1200 files, 5.0 MB')).toBeTruthy();
    const button = screen.getAllByRole('button', { name: 'Track this folder' }).at(-1);
    fireEvent.click(button ?? document.body);
    expect(model.track).toHaveBeenCalledOnce();
    expect(screen.queryByLabelText('Describe your commit')).toBeNull();
  });

  it('says why it cannot be', () => {
    show({ server, preview: { ...preview, refused: 'This is your home folder' } });
    expect(screen.getByText('This is your home folder')).toBeTruthy();
    const button = screen.getAllByRole<HTMLButtonElement>('button', { name: 'Track this folder' }).at(-1);
    expect(button?.disabled).toBe(true);
  });

  it('says when counting stopped', () => {
    show({ server, preview: { ...preview, more: true } });
    expect(screen.getByText('More than 1200 files, 5.0 MB')).toBeTruthy();
  });
});
