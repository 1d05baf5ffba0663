import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";

import { modelsQuery, projectQuery } from "../../api/queries";
import type { Model } from "../../api/types";
import { ListPage } from "../../components/ListPage";
import { FIRST_MODEL, Snippet } from "../../components/Snippet";
import { EmptyState } from "../../components/states";
import { Time } from "../../components/Time";
import { useTitle } from "../../lib/hooks";

/** The names under which runs of a project have published models. */
export function ModelsPage() {
  const { project } = useParams({ from: "/shell/p/$project/models" });
  useTitle("Models", useQuery(projectQuery(project)).data?.name);
  const query = useInfiniteQuery(modelsQuery(project));
  return (
    <ListPage title="Models" noun="model" query={query} more="Show more models" empty={<NoModels />}>
      {(models) => <ModelTable project={project} models={models} />}
    </ListPage>
  );
}

function ModelTable({ project, models }: { project: string; models: Model[] }) {
  return (
    <div className="panel table-scroll">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Model</th>
            <th scope="col" className="numeric">
              Versions
            </th>
            <th scope="col">Last version</th>
          </tr>
        </thead>
        <tbody>
          {models.map((model) => (
            <tr key={model.name} className="linked-row">
              <th scope="row" className="clip">
                <Link to="/p/$project/models/$model" params={{ project, model: model.name }} className="row-link">
                  {model.name}
                </Link>
              </th>
              <td className="numeric">{model.versions.toLocaleString("en")}</td>
              <td>
                <Time at={model.updated_at} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function NoModels() {
  return (
    <EmptyState title="No models yet">
      <p>A run that publishes a model makes a version of it:</p>
      <Snippet code={FIRST_MODEL} label="Code that publishes a model" />
    </EmptyState>
  );
}
