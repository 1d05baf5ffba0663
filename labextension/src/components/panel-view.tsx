import * as React from 'react';

import type { IDotscience, State } from '../tokens';
import { Details } from './details';
import { Runs } from './runs';
import { RunningRuns } from './running';
import { Save } from './save';
import { FoundRuns, otherRuns, Search } from './search';
import { Section } from './section';
import { Status } from './status';
import { Track } from './track';
import { useTrans } from './trans';

const SNIPPET = `import dotscience as ds

ds.start("first run")
ds.parameter("rate", 0.1)
ds.metric("accuracy", 0.97)
ds.publish()`;

/** Everything in the side panel. */
export function PanelView({ model }: { readonly model: IDotscience }): React.ReactElement {
  const state = useModelState(model);
  const tracked = state.server?.tracked === true;
  return (
    <div className="ds-Panel-content">
      <Status state={state} onRetry={() => void model.push()} onFollow={runId => model.hubLink(runId)} />
      {!tracked && state.preview ? (
        <Track state={state} preview={state.preview} onTrack={() => void model.track()} />
      ) : null}
      {tracked ? <Tracked model={model} state={state} /> : null}
    </div>
  );
}

/** The model's state, anew whenever it changes. */
export function useModelState(model: IDotscience): State {
  const subscribe = React.useCallback(
    (listener: () => void) => {
      model.changed.connect(listener);
      return () => void model.changed.disconnect(listener);
    },
    [model]
  );
  return React.useSyncExternalStore(subscribe, () => model.state);
}

interface TrackedProps {
  readonly model: IDotscience;
  readonly state: State;
}

/** A tracked folder: the details of one run, or saving and the lists. */
function Tracked({ model, state }: TrackedProps): React.ReactElement {
  const lists = React.useRef<HTMLDivElement>(null);
  const back = (): void => {
    const runId = state.selection?.runId ?? '';
    void model.select(null);
    requestAnimationFrame(() => lists.current?.querySelector<HTMLElement>(`[data-run="${CSS.escape(runId)}"]`)?.focus());
  };
  return (
    <div ref={lists}>
      {state.selection ? (
        <Details selection={state.selection} onBack={back} onFollow={runId => model.hubLink(runId)} />
      ) : (
        <>
          <Save state={state} onCommit={description => model.commit(description)} />
          <Lists model={model} state={state} />
        </>
      )}
    </div>
  );
}

function Lists({ model, state }: TrackedProps): React.ReactElement {
  const [words, setWords] = React.useState('');
  const select = (runId: string): void => void model.select(runId);
  const running = <RunningRuns runs={state.allRuns.running ?? []} />;
  if (state.allRuns.total === 0) {
    return (
      <>
        {running}
        <NoRuns />
      </>
    );
  }
  const more = (): void => void model.showMore('allRuns');
  return (
    <>
      {running}
      <Search words={words} onChange={setWords} />
      {words.trim() === '' ? (
        <NotebookAndOtherRuns model={model} state={state} select={select} />
      ) : (
        <FoundRuns state={state} words={words} onSelect={select} onMore={more} />
      )}
    </>
  );
}

interface TwoListsProps extends TrackedProps {
  readonly select: (runId: string) => void;
}

/** The runs of the notebook in front, then those of everything else: each run once. */
function NotebookAndOtherRuns({ model, state, select }: TwoListsProps): React.ReactElement {
  const trans = useTrans();
  const { notebook, notebookRuns } = state;
  const others = otherRuns(state);
  return (
    <>
      {notebook === null ? null : (
        <Section title={trans.__('Runs of this notebook')} count={notebookRuns.total}>
          {notebookRuns.total === 0 ? <p className="ds-Hint">{trans.__('None yet.')}</p> : null}
          <Runs list={notebookRuns} sameNotebook onSelect={select} onMore={() => void model.showMore('notebookRuns')} />
        </Section>
      )}
      {notebook !== null && others.total === 0 ? null : (
        <Section title={notebook === null ? trans.__('All runs') : trans.__('Other runs')} count={others.total}>
          <Runs list={others} onSelect={select} onMore={() => void model.showMore('allRuns')} />
        </Section>
      )}
    </>
  );
}

function NoRuns(): React.ReactElement {
  const trans = useTrans();
  return (
    <Section title={trans.__('Runs')}>
      <p>{trans.__('No runs yet. Run this in a cell:')}</p>
      <pre className="ds-Snippet" tabIndex={0} aria-label={trans.__('Example')}>
        {SNIPPET}
      </pre>
    </Section>
  );
}
