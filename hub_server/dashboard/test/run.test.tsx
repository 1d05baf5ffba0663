import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { beforeEach, expect, test } from "vitest";

import type { RunDetails } from "../src/api/types";
import { useHub } from "./app";
import { aCommit, anEnvironment, aProject, aRun, COMMIT, PROJECT } from "./factories";

const app = useHub();

const NOTEBOOK = JSON.stringify({
  nbformat: 4,
  cells: [
    { cell_type: "markdown", source: ["# Title\n", "words"] },
    {
      cell_type: "code",
      execution_count: 3,
      source: "print(1)",
      outputs: [
        { output_type: "stream", name: "stdout", text: ["one\n"] },
        { output_type: "execute_result", data: { "text/html": "<b>bold</b>", "text/plain": "plain form" } },
        { output_type: "display_data", data: { "image/png": "aGVs\nbG8=" } },
        { output_type: "error", traceback: ["\u001b[0;31mKeyError\u001b[0m: 'x'"] },
      ],
    },
  ],
});

beforeEach(() => {
  app.hub.projects = [aProject()];
  app.hub.snapshots = [
    {
      info: aCommit({ message: "a good snapshot", consistency: "fuzzy", unstable: ["live.log"] }),
      files: {
        "train.py": "import os\nprint('hello')\n",
        "data/deep/x.csv": "a,b\n1,2\n",
        "plot.svg": "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "report.html": "<script>parent.document.title='owned'</script>",
        "model.bin": Buffer.from([0x80, 0, 1, 2]),
        "empty.txt": "",
        "latin.txt": Buffer.from([0x66, 0xfc, 0x72]),
        "nb.ipynb": NOTEBOOK,
        "broken.ipynb": '{"cells": [',
      },
    },
  ];
});

function show(run: RunDetails, search = ""): void {
  app.hub.runs = [run];
  app.open(`/p/${PROJECT}/runs/${run.id}${search}`);
}

test("everything that a run recorded is on its page", async () => {
  const run = aRun(
    {
      description: "second try",
      parameters: { lr: 0.001 },
      summary: { accuracy: 0.93 },
      labels: { team: "blue" },
      models: [{ name: "churn", type: "sklearn", version: null, files: { model: "model.bin" } }],
      inputs: [
        { path: "data/deep/x.csv", size: 2048, content_hash: "ab".repeat(32), changed_after_read: true },
        { path: "/etc/hosts", outside: true },
        { path: "gone.csv", missing: true },
      ],
      place: { notebook: "nb.ipynb", host: "lovelace", pid: 4711 },
      warnings: ["parameter lr was set twice"],
    },
    { environment: anEnvironment(), warnings: ["a second record of this run was different"] },
  );
  show(run);
  expect(await screen.findByRole("heading", { level: 1, name: "second try" })).toBeTruthy();
  const texts = [
    "success", "workload", "0.93", "0.001", "blue", "churn", "2.0 KiB", "missing", "outside", "changed after read",
    "parameter lr was set twice", "a second record of this run was different", "CPython 3.11.9", "EPYC 7763, 8 cores",
    "NVIDIA A10G", "dirty", "3 packages",
  ];
  for (const text of texts) expect(screen.getAllByText(text), text).not.toHaveLength(0);
  expect(await screen.findByText("a good snapshot")).toBeTruthy();
  expect(screen.getByText("fuzzy").title).toContain("live.log");
  expect(document.title).toContain("second try");
});

test("a failure shows its message and its traceback without terminal colours", async () => {
  show(aRun({ error: "ValueError: bad", traceback: "\u001b[0;31mTraceback\u001b[0m (most recent call last)" }));
  const section = await screen.findByRole("region", { name: "Error" });
  expect(within(section).getByText("ValueError: bad")).toBeTruthy();
  expect(within(section).getByText("Traceback (most recent call last)")).toBeTruthy();
});

test("hostile text in every place stays text", async () => {
  const evil = "<script>document.title='owned'</script>";
  show(
    aRun(
      {
        description: evil, error: evil, traceback: evil, workload_file: evil,
        parameters: { [evil]: { nested: evil } }, summary: { [evil]: evil }, labels: { [evil]: evil },
        inputs: [{ path: `../../${evil}` }], models: [{ name: evil, type: evil, version: evil, files: { [evil]: evil } }],
        warnings: [evil],
      },
      { environment: anEnvironment({ packages: { [evil]: evil } }) },
    ),
  );
  expect(await screen.findByRole("heading", { level: 1, name: evil })).toBeTruthy();
  expect(document.querySelector("#content script, body script")).toBeNull();
});

test("a record from an older writer, with almost nothing in it, is shown too", async () => {
  const run = aRun();
  Object.assign(run, { record: { run_id: run.id }, commit: null });
  show(run);
  expect(await screen.findByText("No metrics were recorded.")).toBeTruthy();
});

test("packages can be searched", async () => {
  show(aRun({}, { environment: anEnvironment() }));
  const search = await screen.findByLabelText("Find a package");
  fireEvent.change(search, { target: { value: "PAN" } });
  expect(screen.getByText("pandas")).toBeTruthy();
  expect(screen.queryByText("numpy")).toBeNull();
});

test("an unknown run says so", async () => {
  app.open(`/p/${PROJECT}/runs/unknown`);
  expect(await screen.findByText("No such run")).toBeTruthy();
});

test("the snapshot's folders are browsed by URL", async () => {
  show(aRun());
  fireEvent.click(await screen.findByRole("link", { name: "data" }));
  fireEvent.click(await screen.findByRole("link", { name: "deep" }));
  fireEvent.click(await screen.findByRole("link", { name: "x.csv" }));
  expect(await screen.findByRole("columnheader", { name: "a" })).toBeTruthy();
  expect(decodeURIComponent(window.location.search)).toBe("?file=data/deep/x.csv");
  const crumbs = screen.getByRole("navigation", { name: "Folder" });
  fireEvent.click(within(crumbs).getByRole("link", { name: "Workspace" }));
  expect(await screen.findByRole("link", { name: "train.py" })).toBeTruthy();
});

test("the run and the open folder are downloaded as one archive", async () => {
  const run = aRun();
  show(run);
  const all = await screen.findByRole("link", { name: "Download all files" });
  expect(all.getAttribute("href")).toMatch(new RegExp(`/projects/${PROJECT}/commits/${COMMIT}/archive$`));
  const whole = screen.getByRole("link", { name: "Download the files of this run" });
  expect(whole.getAttribute("href")).toMatch(new RegExp(`/projects/${PROJECT}/runs/${run.id}/archive$`));
  fireEvent.click(await screen.findByRole("link", { name: "data" }));
  fireEvent.click(await screen.findByRole("link", { name: "deep" }));
  const folder = await screen.findByRole("link", { name: "Download this folder" });
  expect(folder.getAttribute("href")).toMatch(/\/archive\?path=data%2Fdeep$/);
});

test("only the start of a text file is fetched, and it can be downloaded whole", async () => {
  show(aRun(), "?file=train.py");
  expect(await screen.findByText(/print\('hello'\)/)).toBeTruthy();
  const download = screen.getByRole("link", { name: "Download" }).getAttribute("href");
  expect(download).toContain(`/commits/${COMMIT}/content?path=train.py&download=1`);
});

test.each([
  ["model.bin", /not text/],
  ["latin.txt", /not text/],
  ["empty.txt", /file is empty/],
  ["broken.ipynb", /not valid JSON/],
  ["unknown.txt", /No such file/],
])("%s is answered with words instead of a preview", async (file, words) => {
  show(aRun(), `?file=${file}`);
  expect(await screen.findByText(words)).toBeTruthy();
});

test("pictures are pictures, and pages live in a frame without an origin", async () => {
  show(aRun(), "?file=report.html");
  const frame = await screen.findByTitle("report.html");
  expect(frame.getAttribute("sandbox")).toBe("");
  fireEvent.click(screen.getByRole("button", { name: "Run them" }));
  expect(screen.getByTitle("report.html").getAttribute("sandbox")).toBe("allow-scripts");
  fireEvent.click(await screen.findByRole("link", { name: "plot.svg" }));
  expect((await screen.findByRole("img", { name: "plot.svg" })).tagName).toBe("IMG");
  await waitFor(() => expect(screen.queryByTitle("report.html")).toBeNull());
});

test("a notebook shows its cells and outputs, and none of its HTML", async () => {
  show(aRun(), "?file=nb.ipynb");
  const cells = within(await screen.findByRole("list", { name: "Cells" }));
  for (const text of ["[3]", "print(1)", "one", "plain form", "KeyError: 'x'"]) expect(cells.getByText(text)).toBeTruthy();
  expect(cells.queryByText("bold")).toBeNull();
  expect(cells.getByRole("img").getAttribute("src")).toBe("data:image/png;base64,aGVsbG8=");
});

function file(name: string, content: string): void {
  const snapshot = app.hub.snapshots[0];
  if (snapshot) snapshot.files[name] = content;
}

test("Markdown is rendered, and whatever is hostile in it stays text", async () => {
  file(
    "README.md",
    [
      "# Churn & co",
      "*good* **bold** `a < b` [site](https://example.org/x) [bad](javascript:alert(1)) [data](data:text/html,x)",
      "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">",
      "![plot](https://evil.example/track.png)",
      "| name | score |\n|---|---|\n| ada | 3 |",
      "- one\n  - two",
    ].join("\n\n"),
  );
  show(aRun(), "?file=README.md");
  expect(await screen.findByRole("heading", { name: "Churn & co" })).toBeTruthy();
  expect(screen.getByText("bold").tagName).toBe("STRONG");
  expect(screen.getByText("a < b").tagName).toBe("CODE");
  const links = [...document.querySelectorAll(".markdown a")].map((link) => link.getAttribute("href"));
  expect(links).toEqual(["https://example.org/x"]);
  expect(screen.getByText(/<script>/)).toBeTruthy();
  expect(document.querySelector(".markdown script, .markdown img")).toBeNull();
  expect(screen.getByRole("cell", { name: "ada" })).toBeTruthy();
  fireEvent.click(screen.getByRole("button", { name: "Source" }));
  expect(screen.getByText(/# Churn & co/)).toBeTruthy();
});

test.each([
  ["quotes", ">".repeat(50_000)],
  ["lists", "- ".repeat(25_000) + "x"],
  ["stars", "*a ".repeat(20_000)],
  ["brackets", "[".repeat(50_000)],
])("Markdown of nothing but %s is shown all the same", async (_, content) => {
  file("README.md", content);
  show(aRun(), "?file=README.md");
  await waitFor(() => expect(document.querySelector(".markdown, .source-text")?.textContent).toContain(content.slice(0, 1)));
});

test("CSV is a table, quotes and line ends and all", async () => {
  file("data.csv", 'name,note\r\nada,"says ""hi"",\nthen <b>leaves</b>"\r\nbob,\n');
  show(aRun(), "?file=data.csv");
  expect(await screen.findByRole("columnheader", { name: "note" })).toBeTruthy();
  const cells = [...document.querySelectorAll(".data-table td")].map((cell) => cell.textContent);
  expect(cells).toEqual(["ada", 'says "hi",\nthen <b>leaves</b>', "bob", ""]);
});

test("a data frame in a notebook is a table of texts", async () => {
  const html = "<style>b{}</style><table><tr><th></th><th>x</th></tr><tr><th>0</th><td>1<img src=x onerror=alert(1)></td></tr></table>";
  const output = { output_type: "execute_result", data: { "text/html": html, "text/plain": "plain" } };
  const cells = [{ cell_type: "markdown", source: "## Look" }, { cell_type: "code", source: "df", outputs: [output] }];
  file("frame.ipynb", JSON.stringify({ nbformat: 4, cells }));
  show(aRun(), "?file=frame.ipynb");
  expect(await screen.findByRole("heading", { name: "Look" })).toBeTruthy();
  expect([...document.querySelectorAll(".data-table th, .data-table td")].map((cell) => cell.textContent)).toEqual(["", "x", "0", "1"]);
  expect(document.querySelector(".data-table img")).toBeNull();
});

test("commits are listed and lead to their runs and files", async () => {
  const run = aRun({ description: "the run in it" });
  app.hub.runs = [run];
  const snapshot = app.hub.snapshots[0];
  if (snapshot) snapshot.info.runs = [run.id];
  app.open(`/p/${PROJECT}/commits`);
  const clone = await screen.findByRole("figure", { name: "Command that clones this project" });
  expect(clone.textContent).toContain(`ds clone ${window.location.origin}/p/${PROJECT}`);
  fireEvent.click(await screen.findByRole("link", { name: "a good snapshot" }));
  expect(await screen.findByRole("link", { name: "the run in it" })).toBeTruthy();
  expect(await screen.findByRole("link", { name: "train.py" })).toBeTruthy();
});

test("a run leads to the runs that made what it read, and to those that read what it made", async () => {
  const features = { path: "features.parquet", content_hash: "f1".repeat(32) };
  const prepare = aRun({ description: "prepare", outputs: [features] });
  const train = aRun({ description: "train", inputs: [{ ...features, path: "in.parquet" }] });
  app.hub.runs = [train, prepare];
  app.open(`/p/${PROJECT}/runs/${train.id}`);
  fireEvent.click(await screen.findByRole("link", { name: "prepare" }));
  expect(await screen.findByRole("heading", { name: "prepare" })).toBeTruthy();
  const used = (await screen.findByRole("heading", { name: "Used by" })).nextElementSibling;
  expect(used?.textContent).toBe("in.parquet train");
});
