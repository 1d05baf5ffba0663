import { Link } from "@tanstack/react-router";

import type { RunRecord } from "../../api/types";
import { Badge } from "../../components/Badge";
import { OverwrittenModelBadge } from "../../components/OverwrittenModelBadge";
import { Facts, Panel } from "../../components/Panel";
import { isOrHas, overwrittenOf } from "../../lib/run";

/** The models that a run made. `version` is that of the framework; those of the model are numbered on its own page. */
export function ModelsPanel({ record, project }: { record: RunRecord; project: string }) {
  const { models } = record;
  if (models.length === 0) return null;
  const overwritten = overwrittenOf(record);
  return (
    <Panel title="Models">
      {models.map((model) => (
        <div key={model.name} className="model">
          <p className="model-name">
            <Link to="/p/$project/models/$model" params={{ project, model: model.name }}>
              <strong>{model.name}</strong>
            </Link>{" "}
            <Badge hint="The framework that made the model">{[model.type, model.version].filter(Boolean).join(" ")}</Badge>
            {Object.values(model.files).some((path) => isOrHas(path, overwritten)) && <OverwrittenModelBadge />}
          </p>
          <Facts entries={Object.entries(model.files)} />
        </div>
      ))}
    </Panel>
  );
}
