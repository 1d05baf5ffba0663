import { Link } from "@tanstack/react-router";

import type { ModelArtefact } from "../../api/types";
import { Badge } from "../../components/Badge";
import { Facts, Panel } from "../../components/Panel";

export function ModelsPanel({ models, project }: { models: readonly ModelArtefact[]; project: string }) {
  if (models.length === 0) return null;
  return (
    <Panel title="Models">
      {models.map((model) => (
        <div key={model.name} className="model">
          <p className="model-name">
            <Link to="/p/$project/models/$model" params={{ project, model: model.name }}>
              <strong>{model.name}</strong>
            </Link>{" "}
            <Badge>{model.type}</Badge>
            {model.version && <Badge>version {model.version}</Badge>}
          </p>
          <Facts entries={Object.entries(model.files)} />
        </div>
      ))}
    </Panel>
  );
}
