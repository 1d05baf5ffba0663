import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { projectsQuery } from "../../api/queries";
import type { Project } from "../../api/types";
import { Badge } from "../../components/Badge";
import { ListPage } from "../../components/ListPage";
import { EmptyState } from "../../components/states";
import { FIRST_RUN, Snippet } from "../../components/Snippet";
import { Time } from "../../components/Time";
import { useTitle } from "../../lib/hooks";

export function ProjectsPage() {
  useTitle("Projects");
  const query = useInfiniteQuery(projectsQuery());
  return (
    <ListPage title="Projects" noun="project" query={query} more="Show more projects" empty={<NoProjects />}>
      {(projects) => (
        <>
          <ProjectTable projects={projects} />
          <p>
            <Link to="/trash">Projects in the trash</Link>
          </p>
        </>
      )}
    </ListPage>
  );
}

function ProjectTable({ projects }: { projects: Project[] }) {
  return (
    <div className="panel table-scroll">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Project</th>
            <th scope="col" className="numeric">
              Runs
            </th>
            <th scope="col">Last run</th>
            <th scope="col">Created</th>
          </tr>
        </thead>
        <tbody>
          {projects.map((project) => (
            <tr key={project.id} className="linked-row">
              <th scope="row">
                <Link to="/p/$project" params={{ project: project.id }} className="row-link">
                  {project.name}
                </Link>{" "}
                {project.is_public && <Badge>public</Badge>}
                {project.role === "viewer" && <Badge hint="You can read it and comment">shared with you</Badge>}
              </th>
              <td className="numeric">{project.runs.toLocaleString("en")}</td>
              <td>
                <Time at={project.last_run_at} />
              </td>
              <td className="muted">
                <Time at={project.created_at} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function NoProjects() {
  return (
    <EmptyState title="No projects yet">
      <p>
        A folder becomes a project with <code>ds up</code>, or with <em>Track this folder</em> in JupyterLab. Then run a cell
        with these four lines and save the notebook:
      </p>
      <Snippet code={FIRST_RUN} label="Code that publishes a first run" />
      <p className="muted">The run appears here within seconds, without reloading.</p>
    </EmptyState>
  );
}
