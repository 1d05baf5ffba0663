import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useMemo, useState, type ReactNode } from "react";

import { apiUrl } from "../../api/http";
import { contentQuery } from "../../api/queries";
import { Icon } from "../../components/Icon";
import { ErrorPanel, Skeleton } from "../../components/states";
import { formatBytes } from "../../lib/format";
import { DataTable } from "./DataTable";
import { readDelimited } from "./delimited";
import { nameIn } from "./paths";
import { kindOf, readText, type Text } from "./preview";

const TEXT_LIMIT_BYTES = 256 * 1024;
const NOTEBOOK_LIMIT_BYTES = 20 * 1024 * 1024;

const Markdown = lazy(() => import("./Markdown"));
const NotebookView = lazy(() => import("./NotebookView"));

interface Props {
  project: string;
  commit: string;
  path: string;
}

/**
 * A file of the snapshot. Files are other people's content: text is shown as text, images through `<img>`, which runs
 * no scripts, and HTML only in a frame without an origin (docs/dashboard.md).
 */
export function FilePreview(props: Props) {
  const { project, commit, path } = props;
  const url = (query: Record<string, string>) =>
    apiUrl(["projects", project, "commits", commit, "content"], { path, ...query });
  return (
    <section className="preview" aria-label={`Preview of ${path}`}>
      <header className="preview-header">
        <code className="clip">{path}</code>
        <a className="button quiet" href={url({ download: "1" })} download={nameIn(path)}>
          <Icon name="download" /> Download
        </a>
      </header>
      <PreviewBody {...props} url={url({})} />
    </section>
  );
}

function PreviewBody(props: Props & { url: string }) {
  switch (kindOf(props.path)) {
    case "image":
      return <img className="preview-image" src={props.url} alt={nameIn(props.path)} />;
    case "page":
      return <Page url={props.url} title={nameIn(props.path)} />;
    case "notebook":
      return <TextOf {...props} limit={NOTEBOOK_LIMIT_BYTES} show={(text) => <Notebook text={text} />} />;
    case "markdown":
      return <TextOf {...props} limit={TEXT_LIMIT_BYTES} show={(text) => <Rendered text={text} view={<MarkdownFile text={text} />} />} />;
    case "table":
      return <TextOf {...props} limit={TEXT_LIMIT_BYTES} show={(text) => <Rendered text={text} view={<Table path={props.path} text={text} />} />} />;
    case "text":
      return <TextOf {...props} limit={TEXT_LIMIT_BYTES} show={(text) => <Source text={text} />} />;
  }
}

/** Without an origin even with its scripts running; a report that needs them gets them when the reader says so. */
function Page({ url, title }: { url: string; title: string }) {
  const [runsScripts, setRunsScripts] = useState(false);
  return (
    <>
      {!runsScripts && (
        <p className="preview-note">
          Scripts of this page are off.
          <button type="button" className="button quiet" onClick={() => setRunsScripts(true)}>
            Run them
          </button>
        </p>
      )}
      <iframe
        key={String(runsScripts)}
        className="preview-frame"
        sandbox={runsScripts ? "allow-scripts" : ""}
        src={url}
        title={title}
      />
    </>
  );
}

function TextOf({ project, commit, path, limit, show }: Props & { limit: number; show: (text: Text) => ReactNode }) {
  const query = useQuery(contentQuery(project, commit, path, limit));
  const text = useMemo(() => query.data && readText(query.data, limit), [query.data, limit]);
  if (query.isPending) return <Skeleton what="the file" rows={5} />;
  if (query.isError) return <ErrorPanel error={query.error} retry={() => void query.refetch()} />;
  if (!text) return <p className="panel-empty">This file is not text. Download it to look inside.</p>;
  return <>{show(text)}</>;
}

function Source({ text }: { text: Text }) {
  if (text.content === "") return <p className="panel-empty">This file is empty.</p>;
  const lines = text.content.replace(/\n$/, "").split("\n").length;
  return (
    <>
      <div className="source" tabIndex={0} role="group" aria-label="File content">
        <pre className="line-numbers" aria-hidden="true">
          {Array.from({ length: lines }, (_, index) => index + 1).join("\n")}
        </pre>
        <pre className="source-text">{text.content}</pre>
      </div>
      {text.isCut && <p className="panel-empty">Only the first {formatBytes(TEXT_LIMIT_BYTES)} are shown.</p>}
    </>
  );
}

/** A file as it reads, and on request as it was written. */
function Rendered({ text, view }: { text: Text; view: ReactNode }) {
  const [isSource, setSource] = useState(false);
  if (text.content === "") return <Source text={text} />;
  return (
    <>
      <p className="preview-note">
        <button type="button" className="button quiet" aria-pressed={isSource} onClick={() => setSource(!isSource)}>
          Source
        </button>
      </p>
      {isSource ? <Source text={text} /> : view}
    </>
  );
}

function MarkdownFile({ text }: { text: Text }) {
  return (
    <Suspense fallback={<Skeleton what="the file" rows={5} />}>
      <div className="source padded" tabIndex={0} role="group" aria-label="File content">
        <Markdown source={text.content} />
      </div>
      {text.isCut && <p className="panel-empty">Only the first {formatBytes(TEXT_LIMIT_BYTES)} are shown.</p>}
    </Suspense>
  );
}

/** Of a file that is cut, the last row may be, too. */
function Table({ path, text }: { path: string; text: Text }) {
  const rows = useMemo(() => readDelimited(text.content, /\.tsv$/i.test(path) ? "\t" : ","), [path, text]);
  return <DataTable rows={text.isCut ? rows.slice(0, -1) : rows} label="File content" isCut={text.isCut} />;
}

function Notebook({ text }: { text: Text }) {
  if (text.isCut) return <p className="panel-empty">This notebook is too large to show. Download it to open it.</p>;
  return (
    <Suspense fallback={<Skeleton what="the notebook" rows={5} />}>
      <NotebookView source={text.content} />
    </Suspense>
  );
}
