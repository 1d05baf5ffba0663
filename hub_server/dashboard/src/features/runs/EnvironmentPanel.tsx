import { useState } from "react";

import type { Environment } from "../../api/types";
import { Badge } from "../../components/Badge";
import { CopyButton } from "../../components/CopyButton";
import { Hash } from "../../components/Hash";
import { Facts, Panel } from "../../components/Panel";
import { formatBytes, formatCount } from "../../lib/format";

/** What the run ran on and with. */
export function EnvironmentPanel({ environment }: { environment: Partial<Environment> | null }) {
  if (environment === null) return null;
  const variables = Object.entries(environment.variables ?? {});
  return (
    <Panel title="Environment">
      <Facts
        entries={[
          ["Python", [environment.implementation, environment.python].filter(Boolean).join(" ")],
          ["Platform", environment.platform],
          ["Host", environment.hostname],
          ["CPU", cpuText(environment)],
          ["Memory", environment.ram_bytes && formatBytes(environment.ram_bytes)],
          ["GPU", environment.gpus && environment.gpus.length > 0 && environment.gpus.join(", ")],
          ["Git", environment.git_commit && <GitCommit environment={environment} id={environment.git_commit} />],
          ...variables.map(([name, value]) => [name, <code key={name}>{value}</code>] as const),
        ]}
      />
      <Packages packages={environment.packages ?? {}} />
    </Panel>
  );
}

function cpuText({ cpu, cpu_count }: Partial<Environment>): string {
  return [cpu, cpu_count && formatCount(cpu_count, "core")].filter(Boolean).join(", ");
}

function GitCommit({ environment, id }: { environment: Partial<Environment>; id: string }) {
  return (
    <>
      <Hash id={id} what="git commit" />
      {environment.git_dirty && <Badge tone="warn" hint="There were uncommitted changes">dirty</Badge>}
    </>
  );
}

function Packages({ packages }: { packages: Record<string, string> }) {
  const [filter, setFilter] = useState("");
  const entries = Object.entries(packages);
  if (entries.length === 0) return null;
  const shown = entries.filter(([name]) => name.toLowerCase().includes(filter.trim().toLowerCase()));
  const requirements = entries.map(([name, version]) => `${name}==${version}`).join("\n");
  return (
    <details className="packages">
      <summary>{formatCount(entries.length, "package")}</summary>
      <div className="packages-tools">
        <input
          type="search"
          className="input small"
          placeholder="Find a package"
          aria-label="Find a package"
          value={filter}
          onChange={(event) => setFilter(event.target.value)}
        />
        <CopyButton text={requirements} what="packages as requirements.txt" />
      </div>
      <ul className="package-list" tabIndex={0} aria-label="Packages">
        {shown.map(([name, version]) => (
          <li key={name}>
            <span>{name}</span> <code>{version}</code>
          </li>
        ))}
      </ul>
      {shown.length === 0 && <p className="muted">No package has that name.</p>}
    </details>
  );
}
