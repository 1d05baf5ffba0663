import { Link } from "@tanstack/react-router";

import type { FileRef } from "../../api/types";
import { Badge } from "../../components/Badge";
import { Hash } from "../../components/Hash";
import { Panel } from "../../components/Panel";
import { formatBytes, formatCount } from "../../lib/format";

interface Props {
  title: "Inputs" | "Outputs";
  files: readonly FileRef[];
  project: string;
  commit: string | null;
}

/** The files that a run read or wrote; those of its own snapshot lead to their preview. */
export function FilesPanel({ title, files, project, commit }: Props) {
  if (files.length === 0) return null;
  return (
    <Panel title={title} aside={<span className="muted">{formatCount(files.length, "file")}</span>}>
      <div className="table-scroll">
        <table className="table compact file-refs">
          <thead className="visually-hidden">
            <tr>
              <th scope="col">Path</th>
              <th scope="col">Remarks</th>
              <th scope="col">Size</th>
              <th scope="col">Content hash</th>
            </tr>
          </thead>
          <tbody>
            {files.map((file) => (
              <tr key={`${file.dot ?? ""}/${file.path}`}>
                <th scope="row" className="path">
                  <FileLink file={file} project={project} commit={commit} />
                </th>
                <td className="remarks">
                  <FileBadges file={file} changed={title === "Inputs" ? "changed after read" : "changed later"} />
                </td>
                <td className="numeric size">{formatBytes(file.size)}</td>
                <td className="numeric content-hash">{file.content_hash && <Hash id={file.content_hash} what="content hash" />}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

function FileLink({ file, project, commit }: { file: FileRef; project: string; commit: string | null }) {
  const isElsewhere = file.missing || file.outside || Boolean(file.dot);
  if (commit === null || isElsewhere) return <>{file.path}</>;
  return (
    <Link
      to="/p/$project/commits/$commit"
      params={{ project, commit: file.commit ?? commit }}
      search={{ file: file.path }}
    >
      {file.path}
    </Link>
  );
}

function FileBadges({ file, changed }: { file: FileRef; changed: string }) {
  return (
    <span className="badges">
      {file.missing && <Badge tone="bad" hint="The run named this file, but it was not there">missing</Badge>}
      {file.outside && (
        <Badge tone="warn" hint="Outside the workspace, so the snapshot does not hold it">outside</Badge>
      )}
      {file.changed_after_read && (
        <Badge tone="warn" hint="The file in the snapshot is newer than the run">{changed}</Badge>
      )}
      {file.overwritten && (
        <Badge tone="warn" hint="A later run wrote this file before the snapshot was taken: the commit holds that run's content">
          overwritten
        </Badge>
      )}
      {file.observed && <Badge hint="Seen to change during the run, not named by it">observed</Badge>}
      {file.dot && <Badge hint={file.dot}>dataset</Badge>}
    </span>
  );
}
