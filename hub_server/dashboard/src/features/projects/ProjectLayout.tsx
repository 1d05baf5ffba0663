import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useLocation, useParams } from "@tanstack/react-router";

import { projectQuery } from "../../api/queries";
import { isNotFound } from "../../api/problem";
import { ErrorPanel } from "../../components/states";
import { Badge } from "../../components/Badge";
import { useLiveProject } from "../live/hooks";

/** The head of every page of a project: its name and its sections. */
export function ProjectLayout() {
  const { project } = useParams({ from: "/shell/p/$project" });
  const query = useQuery(projectQuery(project));
  useLiveProject(project);
  const section = useLocation({ select: ({ pathname }) => sectionOf(pathname) });
  if (query.isError && isNotFound(query.error)) {
    return (
      <div className="page">
        <ErrorPanel error={query.error} isPage />
      </div>
    );
  }
  return (
    <>
      <nav className="project-bar" aria-label="Project">
        <Link to="/" className="crumb">
          Projects
        </Link>
        <span className="muted" aria-hidden="true">
          /
        </span>
        <Link to="/p/$project" params={{ project }} className="crumb project-name" activeOptions={{ exact: true }}>
          {query.data?.name ?? "…"}
        </Link>
        {query.data?.is_public && <Badge hint="Everybody who reaches this hub can read it">public</Badge>}
        <span className="tabs">
          <Link to="/p/$project" params={{ project }} className="tab" data-active={section === "runs"}>
            Runs
          </Link>
          <Link to="/p/$project/models" params={{ project }} className="tab" data-active={section === "models"}>
            Models
          </Link>
          <Link to="/p/$project/commits" params={{ project }} className="tab" data-active={section === "commits"}>
            Commits
          </Link>
          <Link to="/p/$project/people" params={{ project }} className="tab" data-active={section === "people"}>
            People
          </Link>
          <Link to="/p/$project/trash" params={{ project }} className="tab" data-active={section === "trash"}>
            Trash
          </Link>
        </span>
      </nav>
      <Outlet />
    </>
  );
}

const SECTIONS: Record<string, string> = {
  models: "models",
  commits: "commits",
  people: "people",
  audit: "people",
  trash: "trash",
};

/** The section of a project's page, by the part of its path after the project. */
function sectionOf(pathname: string): string {
  return SECTIONS[pathname.split("/")[3] ?? ""] ?? "runs";
}
