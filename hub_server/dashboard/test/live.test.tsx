import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { beforeEach, expect, test, vi } from "vitest";

import { useHub } from "./app";
import { aLiveRun, aProject, aRun, PROJECT, someMetrics } from "./factories";

/** jsdom has no canvas: what is drawn is seen in the end-to-end tests, what it is drawn from here. */
const drawn = vi.hoisted(() => [] as unknown[]);
vi.mock("uplot", () => ({
  default: class {
    constructor(_options: unknown, data: unknown) {
      drawn.push(data);
    }
    setData(data: unknown) {
      drawn.push(data);
    }
    setSize() {}
    destroy() {}
  },
}));

const app = useHub();

beforeEach(() => {
  drawn.length = 0;
  app.hub.projects = [aProject()];
  app.hub.runs = [];
  app.hub.liveRuns = [];
  app.hub.metrics.clear();
  vi.stubGlobal("ResizeObserver", class {
    observe() {}
    unobserve() {}
    disconnect() {}
  });
  vi.stubGlobal("matchMedia", () => ({ addEventListener() {}, removeEventListener() {} }));
});

const isHeard = () => waitFor(() => expect(app.hub.subscriptions.at(-1)).toContain(`project:${PROJECT}`));
const progressed = (run: string) => app.hub.emit(`project:${PROJECT}`, "run.progressed", run);

test("runs that go on are above the list, with their last values, and leave it when they are published", async () => {
  const latest = { name: "loss", points: 3, step: 2, at: 0, value: 0.25 };
  const run = aLiveRun({ description: "long training" }, { latest: [latest] });
  app.hub.liveRuns = [run, aLiveRun({ description: "died" }, { status: "lost" })];
  app.open(`/p/${PROJECT}`);
  const region = await screen.findByRole("region", { name: "Runs that are not published yet" });
  expect(within(region).getByText("running").title).toContain("sends points");
  expect(within(region).getByText("lost")).toBeTruthy();
  expect(within(region).getByText("0.25")).toBeTruthy();

  await isHeard();
  app.hub.liveRuns = [{ ...run, latest: [{ ...latest, value: 0.125 }] }];
  progressed(run.id);
  expect(await within(region).findByText("0.125")).toBeTruthy();
  expect(within(region).queryByText("died")).toBeNull();

  app.hub.liveRuns = [];
  app.hub.addRun({ ...aRun({ description: "long training" }), id: run.id });
  await waitFor(() => expect(screen.queryByRole("region", { name: "Runs that are not published yet" })).toBeNull());
});

test("a project without any run shows the first that goes on", async () => {
  app.hub.liveRuns = [aLiveRun({ description: "the first" })];
  app.open(`/p/${PROJECT}`);
  expect(await screen.findByText("the first")).toBeTruthy();
  expect(await screen.findByText("No runs yet")).toBeTruthy();
});

test("the page of a run that goes on grows its curves, and becomes that of the published run", async () => {
  const run = aLiveRun({ description: "long training", parameters: { lr: 0.5 } });
  app.hub.liveRuns = [run];
  app.hub.metrics.set(run.id, someMetrics(run.id, { loss: [1, 0.5] }));
  app.open(`/p/${PROJECT}/runs/${run.id}`);
  expect(await screen.findByRole("heading", { level: 1, name: "long training" })).toBeTruthy();
  expect(screen.getByText("running")).toBeTruthy();
  expect(await screen.findByText("2 points", { selector: ".curve-note" })).toBeTruthy();
  await waitFor(() => expect(drawn).toContainEqual([[0, 1], [1, 0.5]]));
  expect(screen.getByText("Between 0.5 and 1.")).toBeTruthy();

  await isHeard();
  app.hub.metrics.set(run.id, someMetrics(run.id, { loss: [1, 0.5, 0.25] }));
  progressed(run.id);
  await waitFor(() => expect(drawn).toContainEqual([[0, 1, 2], [1, 0.5, 0.25]]));

  app.hub.liveRuns = [{ ...run, status: "published" }];
  app.hub.addRun({ ...aRun({ description: "long training", summary: { loss: 0.25 } }), id: run.id });
  expect(await screen.findByText("success")).toBeTruthy();
  expect(await screen.findByText("3 points", { selector: ".curve-note" })).toBeTruthy();
});

test("what is not finite is a gap", async () => {
  const run = aLiveRun();
  const metrics = someMetrics(run.id, { loss: [1, 2, 3] });
  const curve = metrics.curves[0];
  if (curve) curve.points = [[0, 0, 1], [1, 0, "nan"], [2, 0, "-inf"], [3, 0, 2]];
  app.hub.liveRuns = [run];
  app.hub.metrics.set(run.id, metrics);
  app.open(`/p/${PROJECT}/runs/${run.id}`);
  await waitFor(() => expect(drawn).toContainEqual([[0, 1, 2, 3], [1, null, null, 2]]));
});

test("a run that goes on without points says how to get some", async () => {
  const run = aLiveRun();
  app.hub.liveRuns = [run];
  app.open(`/p/${PROJECT}/runs/${run.id}`);
  expect(await screen.findByText(/No points yet/)).toBeTruthy();
});

test("a published run without points has no place for curves", async () => {
  const published = aRun();
  app.hub.runs = [published];
  app.open(`/p/${PROJECT}/runs/${published.id}`);
  expect(await screen.findByText("success")).toBeTruthy();
  await waitFor(() => expect(app.hub.requests.join()).toContain("/metrics?"));
  expect(screen.queryByText("Curves")).toBeNull();
});

test("a lost run says what is lost", async () => {
  const run = aLiveRun({}, { status: "lost" });
  app.hub.liveRuns = [run];
  app.open(`/p/${PROJECT}/runs/${run.id}`);
  expect(await screen.findByText(/Nothing was heard of this run since/)).toBeTruthy();
});

test("many metrics are found by name, and shown a dozen at a time", async () => {
  const run = aLiveRun();
  const values = Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`m${String(index).padStart(2, "0")}`, [index]]));
  app.hub.liveRuns = [run];
  app.hub.metrics.set(run.id, someMetrics(run.id, values));
  app.open(`/p/${PROJECT}/runs/${run.id}`);
  expect(await screen.findByText("m11")).toBeTruthy();
  expect(screen.queryByText("m12")).toBeNull();
  fireEvent.click(screen.getByRole("button", { name: "Show more of 60 metrics" }));
  expect(await screen.findByText("m23")).toBeTruthy();
  fireEvent.change(screen.getByLabelText("Find in curves"), { target: { value: "m5" } });
  expect(await screen.findByText("m59")).toBeTruthy();
  expect(screen.queryByText("m11")).toBeNull();
  fireEvent.change(screen.getByLabelText("Find in curves"), { target: { value: "nobody" } });
  expect(await screen.findByText("No metric has such a name.")).toBeTruthy();
});

test("a run that is neither published nor goes on is not found", async () => {
  app.open(`/p/${PROJECT}/runs/00000000-0000-4000-8000-00000000dead`);
  expect(await screen.findByRole("alert")).toBeTruthy();
  expect(screen.getByText("Not found")).toBeTruthy();
});
