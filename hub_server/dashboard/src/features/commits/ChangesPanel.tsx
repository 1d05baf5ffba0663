import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { diffQuery, fileDiffQuery } from "../../api/queries";
import type { FileChange, FileDiff, NotebookCell } from "../../api/types";
import { Badge, type Tone } from "../../components/Badge";
import { Panel } from "../../components/Panel";
import { ErrorPanel, Skeleton } from "../../components/states";
import { formatCount } from "../../lib/format";

const SHOWN = 100;
const TONES: Record<FileChange["change"], Tone> = { added: "good", removed: "bad", changed: "neutral" };

/** What a commit has changed since its parent; files open to show how. */
export function ChangesPanel({ project, commit }: { project: string; commit: string }) {
  const query = useQuery(diffQuery(project, commit));
  const [shown, setShown] = useState(SHOWN);
  const changes = query.data?.changes.filter((change) => change.kind !== "directory") ?? [];
  const count = query.data && formatCount(changes.length, "file", query.data.is_whole);
  return (
    <Panel title={query.data?.before === null ? "First commit" : "Changes"} aside={count}>
      {query.isPending && <Skeleton what="the changes" rows={3} />}
      {query.isError && <ErrorPanel error={query.error} retry={() => void query.refetch()} />}
      {query.data && changes.length === 0 && <p className="panel-empty">No file has changed.</p>}
      <ul className="changes">
        {changes.slice(0, shown).map((change) => (
          <ChangeView key={change.path} project={project} commit={commit} change={change} />
        ))}
      </ul>
      {changes.length > shown && (
        <button type="button" className="button" onClick={() => setShown(shown + SHOWN)}>
          Show more files
        </button>
      )}
    </Panel>
  );
}

function ChangeView({ project, commit, change }: { project: string; commit: string; change: FileChange }) {
  const [isOpen, setOpen] = useState(false);
  const { path, kind, only_mode, quoted_path } = change;
  const head = (
    <>
      <Badge tone={TONES[change.change]}>{change.change}</Badge>
      <span className="path">{path}</span>
      {only_mode && <span className="muted">only its mode or time</span>}
    </>
  );
  if (kind !== "file" || only_mode || quoted_path) return <li className="change">{head}</li>;
  return (
    <li>
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary className="change">{head}</summary>
        {isOpen && <FileDiffView project={project} commit={commit} path={path} />}
      </details>
    </li>
  );
}

function FileDiffView({ project, commit, path }: { project: string; commit: string; path: string }) {
  const query = useQuery(fileDiffQuery(project, commit, path));
  if (query.isPending) return <Skeleton what="the difference" rows={3} />;
  if (query.isError) return <ErrorPanel error={query.error} retry={() => void query.refetch()} />;
  return <DiffView diff={query.data} />;
}

const WITHOUT_LINES: Partial<Record<FileDiff["kind"], string>> = {
  binary: "This is no text.",
  "too-large": "This is too large to be compared here.",
  same: "Its content is the same.",
};

function DiffView({ diff }: { diff: FileDiff }) {
  const instead = WITHOUT_LINES[diff.kind];
  if (instead) return <p className="panel-empty">{instead}</p>;
  if (diff.kind === "text") return <DiffLines lines={diff.lines} />;
  if (diff.cells.length === 0) return <p className="panel-empty">No cell differs.</p>;
  return (
    <ol>
      {diff.cells.map((cell, index) => (
        <li key={index}>
          <p className="cell-head">
            <Badge tone={TONES[cell.kind]}>{cell.kind}</Badge> {nameOf(cell)}
            {cell.outputs && <span className="muted"> · other outputs</span>}
          </p>
          <DiffLines lines={cell.lines} />
        </li>
      ))}
    </ol>
  );
}

function nameOf({ cell_type, before, after }: NotebookCell): string {
  return `${cell_type} cell ${(after ?? before ?? 0) + 1}`;
}

function DiffLines({ lines }: { lines: readonly string[] }) {
  if (lines.length === 0) return null;
  return (
    <pre className="diff">
      {lines.map((line, index) => (
        <span key={index} className="diff-line" data-sign={line[0]}>
          {line + "\n"}
        </span>
      ))}
    </pre>
  );
}
