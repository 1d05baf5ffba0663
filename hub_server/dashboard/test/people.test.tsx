import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { beforeEach, expect, test } from "vitest";

import { useHub } from "./app";
import { aCommit, aProject, aRun, COMMIT, PROJECT } from "./factories";

const app = useHub();
const HOSTILE = `<img src=x onerror="document.title='owned'">`;
const BASE = `/api/v1/projects/${PROJECT}`;

beforeEach(() => {
  app.hub.projects = [aProject()];
});

function listed(items: object[]) {
  return { items, next: null, total: items.length, total_is_exact: true };
}

function sent(request: string): number {
  return app.hub.requests.filter((one) => one === request).length;
}

// ------------------------------------------------------------------------------------------------------ signing in

test("a name and a password sign in and lead to where the reader wanted to go", async () => {
  app.hub.isSignedIn = false;
  app.hub.answers.set("POST /api/v1/sessions", (body) => {
    expect(body).toEqual({ name: "ada", password: "correct horse" });
    app.hub.isSignedIn = true;
    return [201, { account: { id: "a1", name: "ada" } }];
  });
  app.open(`/login?next=${encodeURIComponent(`/p/${PROJECT}`)}`);
  fireEvent.change(await screen.findByLabelText("Name"), { target: { value: "ada" } });
  fireEvent.change(screen.getByLabelText("Password"), { target: { value: "correct horse" } });
  fireEvent.click(screen.getByRole("button", { name: "Sign in" }));
  await waitFor(() => expect(window.location.pathname).toBe(`/p/${PROJECT}`));
});

test("a wrong password says so and keeps the name", async () => {
  app.hub.isSignedIn = false;
  app.hub.answers.set("POST /api/v1/sessions", () => [401, { title: "Not signed in", detail: "the name or the password is wrong" }]);
  app.open("/login");
  const name = await screen.findByLabelText<HTMLInputElement>("Name");
  fireEvent.change(name, { target: { value: "ada" } });
  fireEvent.change(screen.getByLabelText("Password"), { target: { value: "guess" } });
  fireEvent.click(screen.getByRole("button", { name: "Sign in" }));
  expect((await screen.findByRole("alert")).textContent).toContain("the name or the password is wrong");
  expect(name.value).toBe("ada");
});

// ------------------------------------------------------------------------------------------------------ runs

test("runs are selected and compared, what differs first", async () => {
  app.hub.runs = [aRun({ description: "two", parameters: { lr: 2 } }), aRun({ description: "one", parameters: { lr: 1 } })];
  const [two, one] = app.hub.runs;
  app.hub.answers.set(`GET ${BASE}/compare`, () => ({
    runs: [two, one],
    parameters: [
      { name: "lr", values: [2, 1], differs: true },
      { name: "seed", values: [7, 7], differs: false },
    ],
    summary: [],
    labels: [],
    files: [{ direction: "input", path: HOSTILE, content_hashes: ["ab".repeat(32), null], differs: true }],
  }));
  app.open(`/p/${PROJECT}`);
  fireEvent.click(await screen.findByLabelText("Select two"));
  expect(screen.getByRole<HTMLButtonElement>("button", { name: "Compare" }).disabled).toBe(true);
  fireEvent.click(screen.getByLabelText("Select one"));
  fireEvent.click(screen.getByRole("button", { name: "Compare" }));
  expect(await screen.findByRole("rowheader", { name: "lr" })).toBeTruthy();
  const table = screen.getByRole("table");
  expect(within(table).queryByRole("rowheader", { name: "seed" })).toBeNull();
  expect(within(table).getByText(HOSTILE, { exact: false })).toBeTruthy();
  expect(document.title).not.toContain("owned");
  fireEvent.click(screen.getByLabelText(/same in all runs/));
  expect(within(table).getByRole("rowheader", { name: "seed" })).toBeTruthy();
});

test("a comparison of too many runs says which are left out", async () => {
  const runs = Array.from({ length: 53 }, (_, number) => aRun({ description: `run ${number}` }));
  app.hub.answers.set(`GET ${BASE}/compare`, () => ({
    runs: runs.slice(0, 50),
    parameters: [],
    summary: [],
    labels: [],
    files: [],
  }));
  app.open(`/p/${PROJECT}/compare?runs=${encodeURIComponent(JSON.stringify(runs.map(({ id }) => id)))}`);
  expect(await screen.findByText(/The first 50 of 53 runs are compared/)).toBeTruthy();
  expect(await screen.findByRole("link", { name: "run 49" })).toBeTruthy();
});

test("x selects the run that has the focus", async () => {
  app.hub.runs = [aRun({ description: "only" })];
  app.open(`/p/${PROJECT}`);
  await screen.findByRole("link", { name: "only" });
  fireEvent.keyDown(document.body, { key: "j" });
  fireEvent.keyDown(document.activeElement ?? document.body, { key: "x" });
  expect(await screen.findByText("1 selected")).toBeTruthy();
});

test("runs go to the trash, and Undo brings them back", async () => {
  app.hub.runs = [aRun({ description: "only" })];
  const { id } = app.hub.runs[0]!;
  app.hub.answers.set(`DELETE ${BASE}/runs/${id}`, () => [204, null]);
  app.hub.answers.set(`POST ${BASE}/runs/${id}/restore`, () => app.hub.runs[0]!);
  app.open(`/p/${PROJECT}`);
  fireEvent.click(await screen.findByLabelText("Select only"));
  fireEvent.click(screen.getByRole("button", { name: "Move to trash" }));
  expect(await screen.findByText("1 run moved to the trash.")).toBeTruthy();
  expect(sent(`DELETE ${BASE}/runs/${id}`)).toBe(1);
  fireEvent.click(screen.getByRole("button", { name: "Undo" }));
  expect(await screen.findByText("1 run restored.")).toBeTruthy();
});

test("whoever may only read cannot trash, edit or comment", async () => {
  app.hub.projects = [aProject({ is_public: true, role: null })];
  app.hub.runs = [aRun({ description: "only" }, { notes: "read me", tags: ["best"] })];
  app.open(`/p/${PROJECT}/runs/${app.hub.runs[0]!.id}`);
  expect(await screen.findByText("read me")).toBeTruthy();
  expect(await screen.findByText("public")).toBeTruthy();
  for (const name of ["Move to trash", "Edit", "Comment"]) {
    expect(screen.queryByRole("button", { name })).toBeNull();
  }
});

test("a run is named, tagged and described, and a faster colleague is noticed", async () => {
  app.hub.runs = [aRun({ description: "only" })];
  const run = app.hub.runs[0]!;
  const path = `PATCH ${BASE}/runs/${run.id}`;
  app.hub.answers.set(path, () => [412, { title: "Changed meanwhile", detail: "the run was changed since" }]);
  app.open(`/p/${PROJECT}/runs/${run.id}`);
  fireEvent.click(await screen.findByRole("button", { name: "Edit" }));
  fireEvent.change(screen.getByLabelText("Name"), { target: { value: "the good one" } });
  fireEvent.change(screen.getByLabelText(/^Tags/), { target: { value: " best, ,paper " } });
  fireEvent.click(screen.getByRole("button", { name: "Save" }));
  expect(await screen.findByText(/Somebody else has changed this run/)).toBeTruthy();
  expect(screen.getByLabelText<HTMLInputElement>("Name").value).toBe("the good one");
  app.hub.answers.set(path, (body) => {
    expect(body).toEqual({ name: "the good one", tags: ["best", "paper"], notes: "" });
    return Object.assign(run, body, { version: 1 });
  });
  fireEvent.click(screen.getByRole("button", { name: "Save" }));
  expect(await screen.findByRole("heading", { level: 1, name: "the good one" })).toBeTruthy();
  expect(screen.getByText("paper")).toBeTruthy();
});

test("comments are shown as text, and what is said appears", async () => {
  app.hub.runs = [aRun({ description: "only" })];
  const { id } = app.hub.runs[0]!;
  const comments = [{ id: 1, author: "grace", text: HOSTILE, created_at: "2026-11-23T10:00:02Z", edited_at: null }];
  app.hub.answers.set(`GET ${BASE}/runs/${id}/comments`, () => listed(comments));
  app.hub.answers.set(`POST ${BASE}/runs/${id}/comments`, (body) => {
    const made = { ...comments[0]!, id: 2, author: "ada", ...(body as { text: string }) };
    comments.push(made);
    return [201, made];
  });
  app.open(`/p/${PROJECT}/runs/${id}`);
  expect(await screen.findByText(HOSTILE)).toBeTruthy();
  fireEvent.change(screen.getByLabelText("Your comment"), { target: { value: "ship it?" } });
  fireEvent.click(screen.getByRole("button", { name: "Comment" }));
  expect(await screen.findByText("ship it?")).toBeTruthy();
  expect(document.title).not.toContain("owned");
});

// ------------------------------------------------------------------------------------------------------ projects

test("an owner lets people in, and hears why somebody cannot come", async () => {
  const people = [{ id: "a1", name: "ada", role: "owner", added_at: "2026-11-23T10:00:02Z" }];
  app.hub.answers.set(`GET ${BASE}/collaborators`, () => listed(people));
  app.hub.answers.set(`PUT ${BASE}/collaborators/nobody`, () => [404, { title: "Not found", detail: "there is no collaborator 'nobody'" }]);
  app.hub.answers.set(`PUT ${BASE}/collaborators/grace`, (body) => {
    people.push({ ...people[0]!, id: "a2", name: "grace", ...(body as { role: string }) });
    return people[1]!;
  });
  app.open(`/p/${PROJECT}/people`);
  const name = await screen.findByLabelText("Name of the account");
  fireEvent.change(name, { target: { value: "nobody" } });
  fireEvent.click(screen.getByRole("button", { name: "Let in" }));
  expect((await screen.findByRole("alert")).textContent).toContain("nobody");
  fireEvent.change(name, { target: { value: "grace" } });
  fireEvent.change(screen.getByLabelText("Role"), { target: { value: "editor" } });
  fireEvent.click(screen.getByRole("button", { name: "Let in" }));
  expect((await screen.findByLabelText<HTMLSelectElement>("Role of grace")).value).toBe("editor");
});

test("a project becomes public only after a question", async () => {
  app.hub.answers.set(`GET ${BASE}/collaborators`, () => listed([]));
  app.hub.answers.set(`PATCH ${BASE}`, (body) => Object.assign(app.hub.projects[0]!, body));
  app.open(`/p/${PROJECT}/people`);
  fireEvent.click(await screen.findByRole("button", { name: "Make it public…" }));
  fireEvent.click(await screen.findByRole("button", { name: "Cancel" }));
  expect(sent(`PATCH ${BASE}`)).toBe(0);
  fireEvent.click(screen.getByRole("button", { name: "Make it public…" }));
  fireEvent.click(await screen.findByRole("button", { name: "Make it public" }));
  expect(await screen.findByText("Everybody can read this project.")).toBeTruthy();
});

test("a viewer sees who works on a project and decides nothing", async () => {
  app.hub.projects = [aProject({ role: "viewer" })];
  app.hub.answers.set(`GET ${BASE}/collaborators`, () =>
    listed([{ id: "a2", name: "grace", role: "owner", added_at: "2026-11-23T10:00:02Z" }]),
  );
  app.open(`/p/${PROJECT}/people`);
  expect(await screen.findByText("grace")).toBeTruthy();
  for (const name of ["Let in", "Remove grace", "Rename", "Move to trash"]) {
    expect(screen.queryByRole("button", { name })).toBeNull();
  }
});

// ------------------------------------------------------------------------------------------------------ account, admin

test("the account page lists browsers and tokens, and shows a new token once", async () => {
  app.hub.answers.set("GET /api/v1/sessions", () => [
    { id: "s1", created_at: "2026-11-23T10:00:02Z", last_used_at: "2026-11-23T10:00:02Z", expires_at: "2026-12-23T10:00:02Z", is_current: true },
  ]);
  app.hub.answers.set("GET /api/v1/tokens", () =>
    listed([{ id: "t1", name: "laptop", scopes: ["runs:read"], project_id: null, created_at: "2026-11-23T10:00:02Z", expires_at: null, last_used_at: null }]),
  );
  app.hub.answers.set("POST /api/v1/tokens", () => [201, { id: "t2", token: "ds_0123_secret" }]);
  app.open("/account");
  expect(await screen.findByText("laptop")).toBeTruthy();
  expect(screen.getByText("this one")).toBeTruthy();
  fireEvent.change(screen.getByLabelText("Name of a new token"), { target: { value: "ci" } });
  fireEvent.click(screen.getByRole("button", { name: "Make a token" }));
  expect(await screen.findByText("ds_0123_secret")).toBeTruthy();
});

test("an administrator makes an account and gets its link", async () => {
  const person = { id: "a2", name: "grace", role: "member", created_at: "2026-11-23T10:00:02Z", has_password: false };
  app.hub.answers.set("GET /api/v1/accounts", () => listed([person]));
  app.hub.answers.set("POST /api/v1/accounts", () => [201, { person, link: { code: "c", url: "http://hub/login#code=c", expires_at: "2026-11-30T10:00:02Z" } }]);
  app.open("/admin/accounts");
  fireEvent.change(await screen.findByLabelText("Name of a new account"), { target: { value: "grace" } });
  fireEvent.click(screen.getByRole("button", { name: "Make an account" }));
  expect(await screen.findByText("http://hub/login#code=c")).toBeTruthy();
});

const AUDITED = {
  at: "2026-11-23T10:00:02Z",
  last_at: "2026-11-23T10:00:02Z",
  count: 1,
  account_id: null,
  account: "",
  credential: "",
  client: "10.0.0.7",
  action: "create_project",
  project_id: null,
  project_name: null,
  target: "",
  status: 201,
};

test("the audit log says who was refused", async () => {
  app.hub.answers.set("GET /api/v1/audit", () =>
    listed([
      { ...AUDITED, action: "sign_in", target: HOSTILE, status: 401 },
      { ...AUDITED, action: "sign_in", target: "ada", status: 429, count: 1_200, last_at: "2026-11-23T10:59:00Z" },
      { ...AUDITED, account: "grace", account_id: "12345678-0000-4000-8000-000000000000", project_id: "p9", project_name: HOSTILE },
    ]),
  );
  app.open("/admin/audit");
  expect(await screen.findByText("refused (401)")).toBeTruthy();
  expect(screen.getAllByText("nobody")).toHaveLength(2);
  expect(screen.getByText("1,200 times, last", { exact: false })).toBeTruthy();
  expect(screen.getAllByText(/times, last/)).toHaveLength(1);
  expect(screen.getByText("grace").textContent).toContain("12345678");
  expect(screen.getByText("p9").closest("td")!.textContent).toContain(HOSTILE);
  expect(document.title).not.toContain("owned");
});

// ------------------------------------------------------------------------------------------------------ commits

test("a commit shows which files it changed, and how when one is opened", async () => {
  app.hub.snapshots = [{ info: aCommit(), files: { "train.py": "lr = 2" } }];
  const path = `GET ${BASE}/commits/${COMMIT}/diff`;
  const size = { only_mode: false, size_before: 6, size_after: 6 };
  app.hub.answers.set(path, () => ({
    before: "aa".repeat(32),
    after: COMMIT,
    is_whole: true,
    changes: [
      { path: HOSTILE, change: "removed", kind: "file", ...size },
      { path: "train.py", change: "changed", kind: "file", ...size },
    ],
  }));
  app.hub.answers.set(`${path}/file`, () => ({ path: "train.py", kind: "text", lines: ["@@ -1 +1 @@", "-lr = 1", "+lr = 2"], cells: [] }));
  app.open(`/p/${PROJECT}/commits/${COMMIT}`);
  expect(await screen.findByText("2 files")).toBeTruthy();
  expect(screen.getByText(HOSTILE)).toBeTruthy();
  const details = (await screen.findAllByText("train.py"))[0]!.closest("details")!;
  details.open = true;
  fireEvent(details, new Event("toggle"));
  expect(await screen.findByText("+lr = 2")).toBeTruthy();
  expect(document.title).not.toContain("owned");
});
