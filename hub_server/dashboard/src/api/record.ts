import type { LiveRun, Run, RunDetails, RunRecord } from "./types";

const EMPTY: RunRecord = {
  run_id: "",
  authority: "workload",
  description: null,
  error: null,
  traceback: null,
  started_at: null,
  ended_at: null,
  mode: null,
  workload_file: null,
  parameters: {},
  summary: {},
  labels: {},
  inputs: [],
  outputs: [],
  models: [],
  place: null,
  environment: null,
  notebook_stale: false,
  warnings: [],
};

/** A run as the hub sends it: the record is the stored JSON, so an older writer may have left fields out. */
export type WireRun<R extends Run | LiveRun = Run> = Omit<R, "record"> & { record: Partial<RunRecord> };

export function readRun(wire: WireRun): Run {
  return { ...wire, record: { ...EMPTY, ...wire.record } };
}

export function readRunDetails(wire: WireRun<RunDetails>): RunDetails {
  return { ...readRun(wire), environment: wire.environment };
}

export function readLiveRun(wire: WireRun<LiveRun>): LiveRun {
  return { ...wire, record: { ...EMPTY, ...wire.record } };
}
