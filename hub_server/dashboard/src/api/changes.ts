/** Everything that changes something on the hub. Whoever calls these says which queries they make stale. */

import { getJson, send } from "./http";
import type { Account, Collaborator, Comment, LoginLink, Person, Project, ProjectRole, Run } from "./types";

/** Exchanges a one-time code for a session cookie; the hub refuses a code that was used or has expired. */
export async function signIn(code: string): Promise<Account> {
  const { account } = await getJson<{ account: Account }>(["sessions"], { method: "POST", body: { code } });
  return account;
}

export async function signInWithPassword(login: { name: string; password: string }): Promise<Account> {
  const { account } = await getJson<{ account: Account }>(["sessions"], { method: "POST", body: login });
  return account;
}

export async function signOut(): Promise<void> {
  await send(["session"], { method: "DELETE" });
}

/** `current` is the password before; a session that a link began need not know it. */
export async function setPassword(change: { password: string; current?: string }): Promise<void> {
  await send(["password"], { method: "PUT", body: change });
}

export async function endSession(id: string): Promise<void> {
  await send(["sessions", id], { method: "DELETE" });
}

export function createToken(wanted: { name: string; scopes: string[] }): Promise<{ id: string; token: string }> {
  return getJson(["tokens"], { method: "POST", body: wanted });
}

export async function deleteToken(id: string): Promise<void> {
  await send(["tokens", id], { method: "DELETE" });
}

export function createAccount(wanted: { name: string; role: string }): Promise<{ person: Person; link: LoginLink }> {
  return getJson(["accounts"], { method: "POST", body: wanted });
}

export function changeAccount(name: string, role: Person["role"]): Promise<Person> {
  return getJson(["accounts", name], { method: "PATCH", body: { role } });
}

export function inviteAccount(name: string): Promise<LoginLink> {
  return getJson(["accounts", name, "login-codes"], { method: "POST", body: {} });
}

export function changeProject(project: string, change: { name?: string; is_public?: boolean }): Promise<Project> {
  return getJson(["projects", project], { method: "PATCH", body: change });
}

export async function trashProject(project: string): Promise<void> {
  await send(["projects", project], { method: "DELETE" });
}

export function restoreProject(project: string): Promise<Project> {
  return getJson(["trash", "restore"], { method: "POST", body: { project_id: project } });
}

export function putCollaborator(project: string, name: string, role: ProjectRole): Promise<Collaborator> {
  return getJson(["projects", project, "collaborators", name], { method: "PUT", body: { role } });
}

export async function removeCollaborator(project: string, name: string): Promise<void> {
  await send(["projects", project, "collaborators", name], { method: "DELETE" });
}

export interface RunChange {
  name?: string;
  notes?: string;
  tags?: string[];
}

/** Says something else about a run, unless somebody else did so since `run` was read. */
export function changeRun(run: Run, change: RunChange): Promise<Run> {
  const headers = { "If-Match": `"v${run.version}.0"` };
  return getJson(["projects", run.project_id, "runs", run.id], { method: "PATCH", body: change, headers });
}

export async function trashRun(project: string, run: string): Promise<void> {
  await send(["projects", project, "runs", run], { method: "DELETE" });
}

export async function restoreRun(project: string, run: string): Promise<void> {
  await send(["projects", project, "runs", run, "restore"], { method: "POST", body: {} });
}

export function addComment(project: string, run: string, text: string): Promise<Comment> {
  return getJson(["projects", project, "runs", run, "comments"], { method: "POST", body: { text } });
}

export async function deleteComment(project: string, run: string, comment: number): Promise<void> {
  await send(["projects", project, "runs", run, "comments", String(comment)], { method: "DELETE" });
}
