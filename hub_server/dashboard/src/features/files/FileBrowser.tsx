import { useQuery } from "@tanstack/react-query";
import { Link, useSearch } from "@tanstack/react-router";

import { treeQuery } from "../../api/queries";
import type { TreeEntry } from "../../api/types";
import { DownloadLink } from "../../components/DownloadLink";
import { Icon } from "../../components/Icon";
import { Panel } from "../../components/Panel";
import { ErrorPanel, Skeleton } from "../../components/states";
import { Time } from "../../components/Time";
import { formatBytes } from "../../lib/format";
import { FilePreview } from "./FilePreview";
import { joinPath, nameIn, parentOf, trail, type FilesSearch } from "./paths";

interface Props {
  project: string;
  commit: string;
}

/** The snapshot's files, as they were. Which directory and file are open is in the URL. */
export function FileBrowser({ project, commit }: Props) {
  const search: FilesSearch = useSearch({ strict: false });
  const directory = search.dir ?? (search.file === undefined ? "" : parentOf(search.file));
  const query = useQuery(treeQuery(project, commit, directory));
  const tree = query.data;
  const isAll = directory === "";
  const count = tree && (
    <span className="muted">{tree.total > tree.entries.length ? `first ${tree.entries.length} of ${tree.total}` : tree.total}</span>
  );
  return (
    <Panel
      title="Files"
      aside={
        <>
          {count}
          <DownloadLink
            of={["projects", project, "commits", commit, "archive"]}
            query={{ path: isAll ? undefined : directory }}
            what={isAll ? "all files" : "this folder"}
          />
        </>
      }
    >
      <Breadcrumbs directory={directory} />
      {query.isPending && <Skeleton what="files" rows={4} />}
      {query.isError && <ErrorPanel error={query.error} retry={() => void query.refetch()} />}
      {tree && <Listing directory={directory} entries={tree.entries} open={search.file} />}
      {search.file !== undefined && <FilePreview key={search.file} project={project} commit={commit} path={search.file} />}
    </Panel>
  );
}

function Breadcrumbs({ directory }: { directory: string }) {
  if (directory === "") return null;
  return (
    <nav className="breadcrumbs" aria-label="Folder">
      <Link to="." search={{}} resetScroll={false}>
        Workspace
      </Link>
      {trail(directory).map((path) => (
        <span key={path}>
          <span aria-hidden="true"> / </span>
          <Link to="." search={{ dir: path }} resetScroll={false}>
            {nameIn(path)}
          </Link>
        </span>
      ))}
    </nav>
  );
}

function Listing({ directory, entries, open }: { directory: string; entries: readonly TreeEntry[]; open: string | undefined }) {
  if (entries.length === 0) return <p className="panel-empty">This folder is empty.</p>;
  const sorted = [...entries].sort(
    (a, b) => Number(b.kind === "directory") - Number(a.kind === "directory") || a.name.localeCompare(b.name),
  );
  return (
    <div className="table-scroll files-scroll" tabIndex={0} role="group" aria-label="Files of this folder">
      <table className="table compact">
        <thead className="visually-hidden">
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Size</th>
            <th scope="col">Changed</th>
          </tr>
        </thead>
        <tbody>
          {sorted.map((entry) => (
            <EntryRow key={entry.name} entry={entry} path={joinPath(directory, entry.name)} open={open} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function EntryRow({ entry, path, open }: { entry: TreeEntry; path: string; open: string | undefined }) {
  const isDirectory = entry.kind === "directory";
  const name = (
    <>
      <Icon name={isDirectory ? "folder" : entry.kind === "symlink" ? "link" : "file"} />
      {entry.name}
      {entry.target && <span className="muted">→ {entry.target}</span>}
    </>
  );
  return (
    <tr data-open={path === open || undefined}>
      <th scope="row" className="path">
        {entry.kind === "symlink" || entry.quoted_name ? (
          <span className="entry" title={entry.quoted_name ?? undefined}>
            {name}
          </span>
        ) : (
          <Link to="." search={isDirectory ? { dir: path } : { file: path }} resetScroll={false} className="entry">
            {name}
          </Link>
        )}
      </th>
      <td className="numeric">{isDirectory ? "" : formatBytes(entry.size)}</td>
      <td className="numeric muted">{!isDirectory && entry.modified_at && <Time at={entry.modified_at} />}</td>
    </tr>
  );
}
