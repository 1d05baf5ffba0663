import type { RunDetails } from "../../api/types";
import { Facts, Panel } from "../../components/Panel";
import { formatDuration, durationOf, formatTime } from "../../lib/format";
import { AUTHORITY_MEANS } from "../../lib/run";

/** When, where and by what a run was made. */
export function OriginPanel({ run }: { run: RunDetails }) {
  const { record } = run;
  const { place } = record;
  return (
    <Panel title="Origin">
      <Facts
        entries={[
          ["Started", record.started_at && formatTime(record.started_at)],
          ["Ended", record.ended_at && formatTime(record.ended_at)],
          ["Duration", record.started_at && record.ended_at && formatDuration(durationOf(record))],
          ["Arrived", formatTime(run.ingested_at)],
          ["Notebook", place?.notebook && <code>{place.notebook}</code>],
          ["Script", !place?.notebook && record.workload_file && <code>{record.workload_file}</code>],
          ["Cell", place?.cell_id && <code>{place.cell_id}</code>],
          ["Host", place?.host],
          ["Process", place?.pid === null || place?.pid === undefined ? null : String(place.pid)],
          ["Recorded as", AUTHORITY_MEANS[record.authority]],
        ]}
      />
    </Panel>
  );
}
