import { cleanup, fireEvent, screen, waitFor, within } from "@testing-library/react";
import { beforeEach, expect, test } from "vitest";

import { useHub } from "./app";
import { aProject, aRun, PROJECT } from "./factories";

const app = useHub();
const HOSTILE = `<img src=x onerror="document.title='owned'"> {{7*7}} \u202Egpj.exe`;

beforeEach(() => {
  app.hub.projects = [aProject()];
});

function rows(): string[] {
  return [...document.querySelectorAll(".run-row .row-link")].map((link) => link.textContent);
}

function tableScroller(): HTMLElement {
  const scroller = document.querySelector<HTMLElement>(".runs-scroll");
  if (!scroller) throw new Error("the runs table is not shown");
  return scroller;
}

test("a project without runs shows how to make one, and the first run replaces that by itself", async () => {
  app.open(`/p/${PROJECT}`);
  expect(await screen.findByText("No runs yet")).toBeTruthy();
  await waitFor(() => expect(app.hub.subscriptions.at(-1)).toContain(`project:${PROJECT}`));
  app.hub.addRun(aRun({ description: "the first" }));
  expect(await screen.findByRole("link", { name: "the first" })).toBeTruthy();
});

test("a run shows its status, its authority, its numbers and where it comes from", async () => {
  app.hub.runs = [
    aRun({
      description: "baseline",
      authority: "derived",
      error: "",
      place: { notebook: "notebooks/train.ipynb" },
      summary: { loss: 0.123456789 },
      parameters: { optimizer: "adam", seed: 42 },
    }),
  ];
  app.open(`/p/${PROJECT}`);
  const row = (await screen.findByRole("link", { name: "baseline" })).closest("tr");
  if (!row) throw new Error("the run is not in a row");
  const inRow = within(row);
  for (const text of ["Error", "derived", "notebooks/train.ipynb", "1m 0s", "adam", "42"]) {
    expect(inRow.getByText(text)).toBeTruthy();
  }
  const loss = await inRow.findByText("0.123457");
  expect(loss.closest("td")?.className).toBe("numeric");
  expect(loss.title).toBe("0.123456789");
});

test("user text stays text", async () => {
  app.hub.projects = [aProject({ name: HOSTILE })];
  app.hub.runs = [aRun({ description: HOSTILE, parameters: { [HOSTILE]: HOSTILE } })];
  app.open(`/p/${PROJECT}`);
  expect(await screen.findAllByText(HOSTILE)).not.toHaveLength(0);
  expect(document.querySelector("img[src='x']")).toBeNull();
  expect(document.title).not.toBe("owned");
});

test("clicking a header sorts by it, down, up and back, in the URL and at the hub", async () => {
  app.hub.runs = [0.2, 0.9, 0.5].map((loss) => aRun({ description: `loss ${loss}`, summary: { loss } }));
  app.open(`/p/${PROJECT}`);
  const header = await screen.findByRole("button", { name: "loss" });
  fireEvent.click(header);
  await waitFor(() => expect(rows()).toEqual(["loss 0.9", "loss 0.5", "loss 0.2"]));
  expect(window.location.search).toContain("sort=summary.loss");
  expect(screen.getByRole("columnheader", { name: "loss" }).getAttribute("aria-sort")).toBe("descending");
  fireEvent.click(screen.getByRole("button", { name: "loss" }));
  await waitFor(() => expect(rows()).toEqual(["loss 0.2", "loss 0.5", "loss 0.9"]));
  fireEvent.click(screen.getByRole("button", { name: "loss" }));
  await waitFor(() => expect(window.location.search).toBe(""));
  expect(app.hub.requests.some((request) => request.includes("sort=summary.loss&order=asc"))).toBe(true);
});

test("only visible rows exist, and more are fetched by cursor before the end is reached", async () => {
  app.hub.runs = Array.from({ length: 250 }, (_, index) => aRun({ description: `run ${index}` }));
  app.open(`/p/${PROJECT}`);
  await screen.findByRole("link", { name: "run 0" });
  expect(rows().length).toBeLessThan(60);
  expect(screen.getByText("250 runs")).toBeTruthy();
  expect(screen.getByRole("table").getAttribute("aria-rowcount")).toBe("252");
  const scroller = tableScroller();
  scroller.scrollTop = 90 * 36;
  fireEvent.scroll(scroller);
  await waitFor(() => expect(app.hub.requests.some((request) => request.includes("cursor=100"))).toBe(true));
  expect(app.hub.requests.some((request) => request.includes("cursor=200"))).toBe(false);
});

test("columns are picked in a menu and kept in the URL", async () => {
  app.hub.runs = [aRun({ summary: { loss: 1, accuracy: 2 }, labels: { team: "blue" } })];
  app.open(`/p/${PROJECT}`);
  await screen.findByRole("button", { name: "loss" });
  fireEvent.click(screen.getByLabelText("loss"));
  await waitFor(() => expect(screen.queryByRole("button", { name: "loss" })).toBeNull());
  fireEvent.click(screen.getByLabelText("team"));
  expect(await screen.findByRole("columnheader", { name: "team" })).toBeTruthy();
  expect(decodeURIComponent(window.location.search)).toContain("label.team");
  fireEvent.click(screen.getByRole("button", { name: "Show the default columns" }));
  expect(await screen.findByRole("button", { name: "loss" })).toBeTruthy();
});

test("a pinned baseline shows by how much the others differ", async () => {
  app.hub.runs = [
    aRun({ description: "new", summary: { loss: 0.5 } }),
    aRun({ description: "old", summary: { loss: 0.75 } }),
  ];
  app.open(`/p/${PROJECT}`);
  fireEvent.click(await screen.findByRole("button", { name: "Compare all runs with old" }));
  expect(await screen.findByText("−0.25")).toBeTruthy();
  fireEvent.click(screen.getByRole("button", { name: "Stop comparing" }));
  await waitFor(() => expect(screen.queryByText("−0.25")).toBeNull());
});

test("j and k walk the rows", async () => {
  app.hub.runs = ["a", "b", "c"].map((description) => aRun({ description }));
  app.open(`/p/${PROJECT}`);
  await screen.findByRole("link", { name: "a" });
  const focused = (key: string) => {
    fireEvent.keyDown(document.activeElement ?? document.body, { key });
    return document.activeElement?.textContent;
  };
  expect(["j", "j", "j", "j", "k"].map(focused)).toEqual(["a", "b", "c", "c", "b"]);
});

test("a run that arrives appears at once, marked as new, for a reader of the newest runs", async () => {
  app.hub.runs = [aRun({ description: "old" })];
  app.open(`/p/${PROJECT}`);
  await screen.findByRole("link", { name: "old" });
  await waitFor(() => expect(app.hub.subscriptions.at(-1)).toContain(`project:${PROJECT}`));
  app.hub.addRun(aRun({ description: "new", summary: { fresh_metric: 3 } }));
  const link = await screen.findByRole("link", { name: "new" });
  expect(link.closest("tr")?.dataset["fresh"]).toBe("true");
  expect(rows()).toEqual(["new", "old"]);
  expect(await screen.findByRole("button", { name: "fresh_metric" })).toBeTruthy();
});

test("rows never move under a reader who sorts by a value: new runs wait behind a button", async () => {
  app.hub.runs = [aRun({ description: "old", summary: { loss: 1 } })];
  app.open(`/p/${PROJECT}?sort=summary.loss&order=desc`);
  await screen.findByRole("link", { name: "old" });
  await waitFor(() => expect(app.hub.subscriptions.at(-1)).toContain(`project:${PROJECT}`));
  app.hub.addRun(aRun({ description: "new 1", summary: { loss: 2 } }));
  app.hub.addRun(aRun({ description: "new 2", summary: { loss: 3 } }));
  const button = await screen.findByRole("button", { name: "2 new runs" });
  expect(rows()).toEqual(["old"]);
  fireEvent.click(button);
  await waitFor(() => expect(rows()).toEqual(["new 2", "new 1", "old"]));
});

test("what happened while the connection was lost is there after it is back", async () => {
  app.hub.runs = [aRun({ description: "old" })];
  app.open(`/p/${PROJECT}`);
  await screen.findByText("Live");
  await screen.findByRole("link", { name: "old" });
  app.hub.dropConnections();
  await screen.findByText("Reconnecting");
  app.hub.runs.unshift(aRun({ description: "missed" }));
  expect(await screen.findByRole("link", { name: "missed" })).toBeTruthy();
  expect(screen.getByText("Live")).toBeTruthy();
});

test("an event that was lost is noticed by its number, and everything is read again", async () => {
  app.hub.runs = [aRun({ description: "old" })];
  app.open(`/p/${PROJECT}`);
  await screen.findByRole("link", { name: "old" });
  await waitFor(() => expect(app.hub.subscriptions.at(-1)).toContain(`project:${PROJECT}`));
  app.hub.runs.unshift(aRun({ description: "never announced" }));
  app.hub.lose(`project:${PROJECT}`);
  app.hub.emit(`project:${PROJECT}`, "commit.created", "c");
  expect(await screen.findByRole("link", { name: "never announced" })).toBeTruthy();
});

test("a refusal shows its request id", async () => {
  app.hub.failures.set(`/api/v1/projects/${PROJECT}/runs`, { status: 400, title: "Bad request", detail: "No such sort." });
  app.open(`/p/${PROJECT}`);
  expect(await screen.findByText("No such sort.")).toBeTruthy();
  expect(screen.getByText("req-4711")).toBeTruthy();
});

test("a link with nonsense in its search still shows the table", async () => {
  app.hub.runs = [aRun({ description: "old" })];
  app.open(`/p/${PROJECT}?sort=;drop&cols=7&order=sideways`);
  expect(await screen.findByRole("link", { name: "old" })).toBeTruthy();
});

function filterInput(): HTMLInputElement {
  return screen.getByRole("textbox", { name: "Filter" });
}

function filterBy(text: string): void {
  fireEvent.change(filterInput(), { target: { value: text } });
  fireEvent.submit(filterInput());
}

test("a filter narrows the table, is kept in the URL, and is taken away again", async () => {
  app.hub.runs = [0.2, 0.9, 0.5].map((loss) => aRun({ description: `loss ${loss}`, summary: { loss } }));
  app.open(`/p/${PROJECT}`);
  await screen.findByRole("link", { name: "loss 0.2" });
  filterBy(" summary.loss > 0.4 ");
  await waitFor(() => expect(rows()).toEqual(["loss 0.9", "loss 0.5"]));
  expect(screen.getByText("2 runs")).toBeTruthy();
  expect(new URLSearchParams(window.location.search).get("q")).toContain("summary.loss > 0.4");
  expect(filterInput().value).toBe("summary.loss > 0.4");
  fireEvent.click(screen.getByRole("button", { name: "Show all" }));
  await waitFor(() => expect(rows()).toHaveLength(3));
  expect(window.location.search).toBe("");
  expect(filterInput().value).toBe("");
});

test("a link with a filter shows the same table", async () => {
  app.hub.runs = [0.2, 0.9].map((loss) => aRun({ description: `loss ${loss}`, summary: { loss } }));
  app.open(`/p/${PROJECT}?q=${encodeURIComponent("summary.loss > 0.4")}`);
  await screen.findByRole("link", { name: "loss 0.9" });
  expect(rows()).toEqual(["loss 0.9"]);
  expect(filterInput().value).toBe("summary.loss > 0.4");
});

test("a filter that no run meets says so and offers all runs", async () => {
  app.hub.runs = [aRun({ description: "only", summary: { loss: 1 } })];
  app.open(`/p/${PROJECT}`);
  await screen.findByRole("link", { name: "only" });
  filterBy("summary.loss > 5");
  expect(await screen.findByText("No run meets the filter")).toBeTruthy();
  fireEvent.click(screen.getByRole("button", { name: "Show all runs" }));
  expect(await screen.findByRole("link", { name: "only" })).toBeTruthy();
});

test("a mistake in a filter is shown where it is, and corrected in place", async () => {
  app.hub.runs = [aRun({ description: "only", summary: { loss: 1 } })];
  app.open(`/p/${PROJECT}`);
  await screen.findByRole("link", { name: "only" });
  filterBy("summary.loss >> 0.4");
  const alert = await screen.findByRole("alert");
  expect(alert.textContent).toContain("at character 14: expected something else");
  expect(alert.querySelector("mark")?.textContent).toBe(">> 0.4");
  expect(filterInput().getAttribute("aria-invalid")).toBe("true");
  filterBy("summary.loss > 0.4");
  expect(await screen.findByRole("link", { name: "only" })).toBeTruthy();
  expect(screen.queryByRole("alert")).toBeNull();
});

test("a filter that cannot be understood leaves the last table, and does so for no other project", async () => {
  app.hub.runs = [0.2, 0.9].map((loss) => aRun({ description: `loss ${loss}`, summary: { loss } }));
  app.open(`/p/${PROJECT}`);
  await screen.findByRole("link", { name: "loss 0.2" });
  filterBy("summary.loss > 0.4");
  await waitFor(() => expect(rows()).toEqual(["loss 0.9"]));
  filterBy("summary.loss >> 0.4");
  await screen.findByRole("alert");
  expect(rows()).toEqual(["loss 0.9"]);
});

function headers(): (string | null)[] {
  return [...document.querySelectorAll(".runs-table thead tr:last-child th")].map((head) => head.textContent);
}

test("a table starts with what the newest runs have, not with the first names of the project", async () => {
  const old = Array.from({ length: 3 }, () =>
    aRun({ summary: { a1: 1, a2: 1, a3: 1, a4: 1, a5: 1, a6: 1 }, parameters: { old: 1 } }),
  );
  const recent = Array.from({ length: 20 }, () => aRun({ summary: { zeta: 0.5 }, parameters: { rate: 0.1 } }));
  app.hub.runs = [...recent, ...old];
  app.open(`/p/${PROJECT}`);
  await screen.findByRole("button", { name: "zeta" });
  expect(headers()).toEqual(["Run", "Started", "Duration", "Notebook or script", "zeta", "rate"]);
});

test("columns that were picked are there at the next visit, until the default is asked for", async () => {
  app.hub.runs = [aRun({ summary: { loss: 1, accuracy: 2 } })];
  app.open(`/p/${PROJECT}`);
  await screen.findByRole("button", { name: "loss" });
  fireEvent.click(screen.getByLabelText("loss"));
  await waitFor(() => expect(screen.queryByRole("button", { name: "loss" })).toBeNull());
  cleanup();
  app.open(`/p/${PROJECT}`);
  await screen.findByRole("button", { name: "accuracy" });
  expect(screen.queryByRole("button", { name: "loss" })).toBeNull();
  fireEvent.click(screen.getByRole("button", { name: "Show the default columns" }));
  expect(await screen.findByRole("button", { name: "loss" })).toBeTruthy();
  expect(Object.keys(localStorage)).toEqual([]);
});

test("what another account of this browser chose, or nonsense, is not taken", async () => {
  localStorage.setItem(`dotscience.columns.somebody.${PROJECT}`, '["started"]');
  localStorage.setItem(`dotscience.columns.a1.${PROJECT}`, "{[");
  app.hub.runs = [aRun({ summary: { loss: 1 } })];
  app.open(`/p/${PROJECT}`);
  expect(await screen.findByRole("button", { name: "loss" })).toBeTruthy();
});

test("a run whose files a later one has overwritten says so, and None is a value", async () => {
  const outputs = [{ path: "model.pkl", overwritten: true }];
  app.hub.runs = [aRun({ description: "lost", outputs, parameters: { depth: null } }), aRun({ description: "kept" })];
  app.open(`/p/${PROJECT}`);
  const row = (await screen.findByRole("link", { name: "lost" })).closest("tr");
  if (!row) throw new Error("the run is not in a row");
  expect(within(row).getByText("overwritten").title).toContain("model.pkl");
  expect(within(row).getByText("None")).toBeTruthy();
  expect(screen.getAllByText("overwritten")).toHaveLength(1);
});
