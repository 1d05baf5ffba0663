import type { ModelArtefact } from "../../api/types";
import { Badge } from "../../components/Badge";
import { Facts, Panel } from "../../components/Panel";

export function ModelsPanel({ models }: { models: readonly ModelArtefact[] }) {
  if (models.length === 0) return null;
  return (
    <Panel title="Models">
      {models.map((model) => (
        <div key={model.name} className="model">
          <p className="model-name">
            <strong>{model.name}</strong> <Badge>{model.type}</Badge>
            {model.version && <Badge>version {model.version}</Badge>}
          </p>
          <Facts entries={Object.entries(model.files)} />
        </div>
      ))}
    </Panel>
  );
}
