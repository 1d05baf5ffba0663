import * as React from 'react';

import type { Environment, RunDetail } from '../api';
import { formatDuration, formatSize, formatTime, safeUrl, shortId } from '../format';
import type { FileRef, ModelArtefact } from '../record';
import type { Selection } from '../tokens';
import { AuthorityBadge, ErrorMark, OverwrittenMark, StateBadge } from './badges';
import { HubLink } from './hub-link';
import type { HubFollower } from './hub-link';
import { RunTitle } from './runs';
import { Problem } from './status';
import { useTrans } from './trans';
import { ValueTable } from './values';

const MOST_FILES = 10;

/** Names and what is known; null and empty text where nothing is. */
type Facts = readonly (readonly [name: string, value: string | null])[];

interface DetailsProps {
  readonly selection: Selection;
  readonly onBack: () => void;
  readonly onFollow: HubFollower;
}

/** One run in full, in place of the lists. */
export function Details({ selection, onBack, onFollow }: DetailsProps): React.ReactElement {
  const trans = useTrans();
  const back = React.useRef<HTMLButtonElement>(null);
  React.useEffect(() => back.current?.focus(), [selection.runId]);
  return (
    <section className="ds-Details" aria-label={trans.__('Details of the run')}>
      <button ref={back} type="button" className="ds-Link ds-Back" onClick={onBack}>
        {trans.__('← All runs')}
      </button>
      {selection.problem === null ? null : <Problem text={selection.problem.message} hint={selection.problem.hint} />}
      {selection.detail === null ? null : <Run run={selection.detail} onFollow={onFollow} />}
    </section>
  );
}

interface RunProps {
  readonly run: RunDetail;
  readonly onFollow: HubFollower;
}

function Run({ run, onFollow }: RunProps): React.ReactElement {
  const trans = useTrans();
  const { record } = run;
  const link = safeUrl(run.hub_url);
  return (
    <>
      <h2 className="ds-Details-title">
        <RunTitle record={record} runId={run.run_id} />
      </h2>
      <p className="ds-Badges">
        <StateBadge state={run.state} />
        <AuthorityBadge authority={record.authority} />
        <ErrorMark record={record} />
        <OverwrittenMark record={record} />
      </p>
      <Notes run={run} />
      <RunFacts run={run} />
      <ValueTable title={trans.__('Metrics')} values={record.summary} />
      <ValueTable title={trans.__('Parameters')} values={record.parameters} />
      <ValueTable title={trans.__('Labels')} values={record.labels} />
      <Models models={record.models} />
      <Files title={trans.__('Inputs')} files={record.inputs} />
      <Files title={trans.__('Outputs')} files={record.outputs} />
      {run.environment === null ? null : <EnvironmentFacts environment={run.environment} />}
      {link === undefined ? null : (
        <HubLink url={link} runId={run.run_id} onFollow={onFollow}>
          {trans.__('Open on the hub')}
        </HubLink>
      )}
    </>
  );
}

/** What a person should know before trusting the numbers. */
function Notes({ run }: { readonly run: RunDetail }): React.ReactElement {
  const trans = useTrans();
  const { record } = run;
  return (
    <>
      {record.error === null ? null : <Problem text={record.error || trans.__('The run failed')} hint="" />}
      {record.authority === 'correction' ? (
        <p className="ds-Note">
          {trans.__('Files changed that no run explains: tag them with ds.input or ds.output.')}
        </p>
      ) : null}
      {record.notebookStale ? (
        <p className="ds-Note">{trans.__('The notebook had not been saved when this commit was taken.')}</p>
      ) : null}
      {record.warnings.map((warning, index) => (
        <p className="ds-Note" key={index}>
          {warning}
        </p>
      ))}
    </>
  );
}

function RunFacts({ run }: { readonly run: RunDetail }): React.ReactElement {
  const trans = useTrans();
  const facts: Facts = [
    [trans.__('Started'), formatTime(run.record.startedAt)],
    [trans.__('Took'), formatDuration(run.record)],
    [trans.__('File'), run.notebook ?? run.record.workloadFile],
    [trans.__('Commit'), run.commit && shortId(run.commit)],
    [trans.__('Run'), shortId(run.run_id)]
  ];
  return <FactTable facts={facts} />;
}

function EnvironmentFacts({ environment }: { readonly environment: Environment }): React.ReactElement {
  const trans = useTrans();
  const { cpu, cpu_count: cores, ram_bytes: ram, git_commit: git, packages } = environment;
  const facts: Facts = [
    [trans.__('Python'), environment.python],
    [trans.__('Platform'), environment.platform],
    [trans.__('Processor'), [cpu, cores && trans.__('%1 cores', cores)].filter(Boolean).join(', ')],
    [trans.__('Memory'), ram === null ? null : formatSize(ram)],
    [trans.__('GPU'), environment.gpus.join(', ')],
    [trans.__('Git'), git && shortId(git) + (environment.git_dirty ? ` ${trans.__('(changed)')}` : '')],
    [trans.__('Packages'), String(Object.keys(packages).length)]
  ];
  return (
    <div className="ds-Group">
      <h3>{trans.__('Environment')}</h3>
      <FactTable facts={facts} />
    </div>
  );
}

/** Facts that are known, one a line. */
function FactTable({ facts }: { readonly facts: Facts }): React.ReactElement {
  return (
    <dl className="ds-Values">
      {facts.map(([name, value]) =>
        value ? (
          <div key={name}>
            <dt>{name}</dt>
            <dd title={String(value)}>{value}</dd>
          </div>
        ) : null
      )}
    </dl>
  );
}

function Models({ models }: { readonly models: readonly ModelArtefact[] }): React.ReactElement | null {
  const trans = useTrans();
  return models.length === 0 ? null : (
    <div className="ds-Group">
      <h3>{trans.__('Models')}</h3>
      <ul className="ds-Files">
        {models.map(model => (
          <li key={model.name}>
            <span className="ds-File-path">{model.name}</span>
            <span className="ds-File-note">{[model.type, model.version].filter(Boolean).join(' ')}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

interface FilesProps {
  readonly title: string;
  readonly files: readonly FileRef[];
}

function Files({ title, files }: FilesProps): React.ReactElement | null {
  const trans = useTrans();
  const hidden = files.length - MOST_FILES;
  return files.length === 0 ? null : (
    <div className="ds-Group">
      <h3>{title}</h3>
      <ul className="ds-Files">
        {files.slice(0, MOST_FILES).map((file, index) => (
          <FileLine key={index} file={file} />
        ))}
        {hidden > 0 ? <li className="ds-mod-more">{trans._n('… and %1 more file', '… and %1 more files', hidden)}</li> : null}
      </ul>
    </div>
  );
}

function FileLine({ file }: { readonly file: FileRef }): React.ReactElement {
  const trans = useTrans();
  const notes = [
    file.missing ? trans.__('missing') : null,
    file.outside ? trans.__('outside the folder') : null,
    file.changed ? trans.__('changed after it was read') : null,
    file.overwritten ? trans.__('overwritten by a later run') : null,
    file.size === null ? null : formatSize(file.size)
  ];
  return (
    <li>
      <span className="ds-File-path" title={file.path}>
        {file.path}
      </span>
      <span className="ds-File-note">{notes.filter(Boolean).join(', ')}</span>
    </li>
  );
}
