import type { Authority, Run, RunRecord } from "../api/types";
import { shorten } from "./format";

export type Status = "success" | "error";

/** An empty error string is a failure too (dotscience/record.py). */
export function statusOf(record: RunRecord): Status {
  return record.error === null ? "success" : "error";
}

/** What to call a run: its description, else its notebook or script, else its id. */
export function nameOf(record: RunRecord): string {
  return record.description?.trim() || sourceOf(record) || shorten(record.run_id);
}

/** What to call a run where people may have named it. */
export function titleOf(run: Pick<Run, "name" | "record">): string {
  return run.name || nameOf(run.record);
}

export function sourceOf(record: RunRecord): string {
  return record.place?.notebook ?? record.workload_file ?? "";
}

/** The outputs of which the commit holds what a later run wrote. */
export function overwrittenOf(record: RunRecord): string[] {
  return record.outputs.filter((file) => file.overwritten).map((file) => file.path);
}

/** Whether a path, or one below it, is among others; "." is the whole workspace. */
export function isOrHas(path: string, others: readonly string[]): boolean {
  return others.some((other) => path === "." || other === path || other.startsWith(`${path}/`));
}

export const AUTHORITY_MEANS: Record<Authority, string> = {
  workload: "Published by the code itself",
  derived: "Inferred from the executed cells of a saved notebook",
  correction: "File changes that no run explains",
  remote: "Published from a machine without a workspace",
};
