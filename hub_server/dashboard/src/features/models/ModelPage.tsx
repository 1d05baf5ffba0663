import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";

import { modelVersionsQuery, projectQuery } from "../../api/queries";
import type { ModelVersion } from "../../api/types";
import { Badge } from "../../components/Badge";
import { DownloadLink } from "../../components/DownloadLink";
import { Hash } from "../../components/Hash";
import { ListPage } from "../../components/ListPage";
import { OVERWRITTEN_MODEL, OverwrittenModelBadge } from "../../components/OverwrittenModelBadge";
import { Time } from "../../components/Time";
import { shorten } from "../../lib/format";
import { useTitle } from "../../lib/hooks";

/** A model's versions, newest first: each is what one run published. */
export function ModelPage() {
  const { project, model } = useParams({ from: "/shell/p/$project/models/$model" });
  useTitle(model, useQuery(projectQuery(project)).data?.name);
  const query = useInfiniteQuery(modelVersionsQuery(project, model));
  return (
    <ListPage title={model} noun="version" query={query} more="Show older versions">
      {(versions) => <VersionTable project={project} versions={versions} />}
    </ListPage>
  );
}

function VersionTable({ project, versions }: { project: string; versions: ModelVersion[] }) {
  return (
    <div className="panel table-scroll">
      <table className="table">
        <thead>
          <tr>
            <th scope="col" className="numeric">
              Version
            </th>
            <th scope="col">Framework</th>
            <th scope="col">Files</th>
            <th scope="col">Run</th>
            <th scope="col">Arrived</th>
            <th scope="col">Commit</th>
            <th scope="col">
              <span className="visually-hidden">Download</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {versions.map((version) => (
            <VersionRow key={version.number} project={project} version={version} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function VersionRow({ project, version }: { project: string; version: ModelVersion }) {
  return (
    <tr>
      <th scope="row" className="numeric">
        {version.number}
      </th>
      <td>
        <span className="badges">
          <Badge>{[version.type, version.framework_version].filter(Boolean).join(" ")}</Badge>
        </span>
      </td>
      <td>
        {Object.entries(version.files).map(([role, path]) => (
          <div key={role}>
            <span className="muted">{role}</span>{" "}
            <Link
              to="/p/$project/commits/$commit"
              params={{ project, commit: version.commit }}
              search={{ file: path }}
            >
              {path}
            </Link>{" "}
            {version.overwritten.includes(path) && <OverwrittenModelBadge />}
          </div>
        ))}
      </td>
      <td>
        <Link to="/p/$project/runs/$run" params={{ project, run: version.run_id }} search={{}}>
          {shorten(version.run_id)}
        </Link>
      </td>
      <td>
        <Time at={version.ingested_at} />
      </td>
      <td>
        <Hash id={version.commit} what="commit id" />
      </td>
      <td>
        {Object.keys(version.files).length > 0 && (
          <DownloadLink
            of={["projects", project, "models", version.model, "versions", String(version.number), "archive"]}
            what={`version ${version.number}`}
            warning={version.overwritten.length > 0 ? OVERWRITTEN_MODEL : undefined}
          />
        )}
      </td>
    </tr>
  );
}
