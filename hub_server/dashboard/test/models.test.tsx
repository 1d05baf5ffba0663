import { fireEvent, screen, within } from "@testing-library/react";
import { beforeEach, expect, test } from "vitest";

import { useHub } from "./app";
import { aProject, aRun, COMMIT, PROJECT } from "./factories";

const app = useHub();
const IRIS = { name: "iris", type: "sklearn-model", version: "1.5.2", files: { model: "out/iris.joblib" } };
const ODD = { name: `a/b?c=<img src=x>`, type: "custom-model", version: null, files: {} };

beforeEach(() => {
  app.hub.projects = [aProject()];
});

test("a project without models shows how to make one", async () => {
  app.open(`/p/${PROJECT}/models`);
  expect(await screen.findByText("No models yet")).toBeTruthy();
  expect(screen.getByText(/ds\.model\(classifier/)).toBeTruthy();
});

test("models lead to their versions, and those to the run and the file", async () => {
  app.hub.runs = [aRun({ models: [IRIS, ODD] }), aRun({ models: [IRIS] })];
  app.open(`/p/${PROJECT}`);
  fireEvent.click(await screen.findByRole("link", { name: "Models" }));
  const row = (await screen.findByRole("link", { name: "iris" })).closest("tr");
  expect(row && within(row).getByText("2")).toBeTruthy();
  fireEvent.click(screen.getByRole("link", { name: "iris" }));
  expect(await screen.findByRole("heading", { name: "iris" })).toBeTruthy();
  const newest = (await screen.findByRole("rowheader", { name: "2" })).closest("tr");
  if (!newest) throw new Error("the newest version is not shown");
  const [file] = within(newest).getAllByRole("link", { name: "out/iris.joblib" });
  expect(file?.getAttribute("href")).toContain(`/p/${PROJECT}/commits/${COMMIT}`);
  expect(within(newest).getByText(`${IRIS.type} 1.5.2`)).toBeTruthy();
  const download = within(newest).getByRole("link", { name: "Download version 2" });
  expect(download.getAttribute("href")).toContain(`/projects/${PROJECT}/models/iris/versions/2/archive`);
  const run = app.hub.runs[0];
  expect(newest.querySelector(`a[href="/p/${PROJECT}/runs/${run?.id}"]`)).not.toBeNull();
});

test("a version of which a later run has overwritten files says so, also below a folder", async () => {
  const net = { ...IRIS, name: "net", files: { model: "net", classes: "net.txt" } };
  const outputs = [{ path: "net/weights/1.bin", overwritten: true }, { path: "net.txt" }];
  app.hub.runs = [aRun({ models: [net] }), aRun({ models: [net], outputs })];
  app.open(`/p/${PROJECT}/models/net`);
  const lost = (await screen.findByRole("rowheader", { name: "1" })).closest("tr");
  if (!lost) throw new Error("the version is not shown");
  const badge = within(lost).getByText("overwritten");
  expect(badge.title).toContain("the commit holds another model");
  expect(badge.parentElement?.textContent).toMatch(/^model net/);
  expect(within(lost).getByRole("link", { name: "Download version 1" }).title).toContain(badge.title);
  expect(screen.getAllByText("overwritten")).toHaveLength(1);
  expect(screen.getByRole("link", { name: "Download version 2" }).title).not.toContain("later run");
  fireEvent.click(within(lost).getByRole("link", { name: app.hub.runs[1]?.id.slice(0, 8) ?? "none" }));
  const panel = (await screen.findByRole("heading", { name: "Models" })).closest("section");
  expect(panel && within(panel).getByText("overwritten").title).toBe(badge.title);
});

test("any name is a link to its own page, and stays text", async () => {
  app.hub.runs = [aRun({ models: [ODD] })];
  app.open(`/p/${PROJECT}/models`);
  fireEvent.click(await screen.findByRole("link", { name: ODD.name }));
  expect(await screen.findByRole("heading", { name: ODD.name })).toBeTruthy();
  expect(await screen.findByText("1 version")).toBeTruthy();
  expect(screen.queryByRole("link", { name: /^Download/ })).toBeNull();
  expect(document.querySelector("img[src='x']")).toBeNull();
});

test("a model that is not there says so", async () => {
  app.open(`/p/${PROJECT}/models/nobody`);
  expect(await screen.findByText("No such model")).toBeTruthy();
});
