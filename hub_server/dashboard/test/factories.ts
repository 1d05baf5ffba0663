/** Things of the hub for tests, complete and plausible unless told otherwise. */

import { readRun } from "../src/api/record";
import type { CommitInfo, Environment, Project, RunDetails, RunRecord } from "../src/api/types";

export const PROJECT = "3f0f6f0a-6c5e-4b8e-9d40-6b8f0a5c1d11";
export const COMMIT = "b7".repeat(32);

export function aProject(changes: Partial<Project> = {}): Project {
  return {
    id: PROJECT,
    name: "churn-model",
    dot_id: "d0",
    created_at: "2026-11-01T08:00:00Z",
    runs: 1,
    last_run_at: "2026-11-23T10:00:00Z",
    head: COMMIT,
    is_public: false,
    role: "owner",
    ...changes,
  };
}

let made = 0;

/** A run whose id is new each time. */
export function aRun(record: Partial<RunRecord> = {}, changes: Partial<Omit<RunDetails, "record">> = {}): RunDetails {
  made += 1;
  const id = `00000000-0000-4000-8000-${String(made).padStart(12, "0")}`;
  const run = {
    id,
    project_id: PROJECT,
    seq: made,
    commit: COMMIT,
    ingested_at: "2026-11-23T10:00:02Z",
    warnings: [],
    name: "",
    notes: "",
    tags: [],
    version: 0,
    comments: 0,
    deleted_at: null,
    record: {
      run_id: id,
      started_at: "2026-11-23T09:59:00Z",
      ended_at: "2026-11-23T10:00:00Z",
      ...record,
    },
  };
  return { ...readRun(run), environment: null, ...changes };
}

export function aCommit(changes: Partial<CommitInfo> = {}): CommitInfo {
  return {
    id: COMMIT,
    parents: [],
    branch: "main",
    created_at: "2026-11-23T10:00:01Z",
    message: "1 run from train.ipynb",
    author: "ada",
    client: "dotscience/1.0.0",
    consistency: "stable",
    unstable: [],
    files: 3,
    size: 4096,
    new_bytes: 512,
    runs: [],
    ...changes,
  };
}

export function anEnvironment(changes: Partial<Environment> = {}): Environment {
  return {
    captured_at: "2026-11-23T09:58:00Z",
    python: "3.11.9",
    implementation: "CPython",
    platform: "Linux-6.1-x86_64",
    hostname: "lovelace",
    executable: "/opt/venv/bin/python",
    cpu: "EPYC 7763",
    cpu_count: 8,
    ram_bytes: 33_554_432_000,
    gpus: ["NVIDIA A10G"],
    git_commit: "9c".repeat(20),
    git_dirty: true,
    packages: { numpy: "2.1.0", pandas: "2.2.3", "scikit-learn": "1.5.2" },
    variables: {},
    ...changes,
  };
}
