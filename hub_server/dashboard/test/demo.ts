/**
 * The built dashboard on a hub in memory, with plausible runs, under the hub's content security policy:
 *
 *     npm run build && npx vite-node test/demo.ts 8899
 *
 * A new run arrives for each line on standard input.
 */

import { existsSync, readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { extname, join, normalize } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { deflateSync } from "node:zlib";

import { aCommit, anEnvironment, aProject, aRun, COMMIT, PROJECT } from "./factories";
import { FakeHub } from "./fakeHub";

const STATIC = fileURLToPath(new URL("../../static", import.meta.url));
const TYPES: Record<string, string> = { ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; " +
  "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const RUNS = 3000;
const MINUTE_MS = 60_000;

function serveStatic(request: IncomingMessage, response: ServerResponse): void {
  const path = join(STATIC, normalize(new URL(request.url ?? "/", "http://hub").pathname));
  const file = existsSync(path) && extname(path) !== "" ? path : join(STATIC, "index.html");
  response.setHeader("Content-Type", TYPES[extname(file)] ?? "text/html; charset=utf-8");
  response.setHeader("Content-Security-Policy", POLICY);
  const page = extname(file) === ".html" ? readFileSync(file, "utf8").replaceAll('"./', '"/') : readFileSync(file);
  response.end(page);
}

function demoRun(index: number, ended_ms: number) {
  const wave = Math.sin(index * 12.9898) * 43758.5453;
  const chance = wave - Math.floor(wave);
  const isFailed = chance > 0.93;
  const isDerived = chance < 0.12;
  return aRun(
    {
      authority: isDerived ? "derived" : "workload",
      description: isDerived ? null : ["baseline", "wider layers", "lower learning rate", "no dropout, longer warm-up"][index % 4] ?? null,
      started_at: new Date(ended_ms - 1000 - chance * 900_000).toISOString(),
      ended_at: new Date(ended_ms).toISOString(),
      error: isFailed ? "ValueError: Input contains NaN." : null,
      traceback: isFailed ? TRACEBACK : null,
      parameters: { optimizer: index % 3 ? "adam" : "sgd", learning_rate: 10 ** -(1 + (index % 4)), epochs: 10 + (index % 5) * 10, seed: index },
      summary: isFailed ? {} : { accuracy: 0.82 + chance * 0.15, loss: 0.6 - chance * 0.5, f1: 0.8 + chance * 0.17, rows: 48_000 + index },
      labels: { team: "growth" },
      models: isFailed ? [] : [{ name: "churn", type: "sklearn", version: null, files: { model: "models/churn.joblib" } }],
      inputs: [
        { path: "data/customers.csv", size: 18_233_112, content_hash: "4f".repeat(32) },
        { path: "data/labels.parquet", size: 2_411_008, content_hash: "a1".repeat(32), changed_after_read: true },
        { path: "/mnt/share/holidays.json", outside: true },
        { path: "data/regions.csv", missing: true },
      ],
      outputs: [{ path: "models/churn.joblib", size: 1_204_224, content_hash: "0c".repeat(32) }],
      place: { notebook: index % 5 ? "notebooks/train.ipynb" : null, cell_id: "b1f2", host: "lovelace", pid: 4711 },
      workload_file: "train.py",
      notebook_stale: index % 9 === 0,
    },
    { environment: anEnvironment(), warnings: index % 7 ? [] : ["parameter seed was set twice; the last value counts"] },
  );
}

const TRACEBACK = `\u001b[0;31mTraceback\u001b[0m (most recent call last):
  File "/workspace/train.py", line 42, in <module>
    model.fit(features, labels)
  File "/opt/venv/lib/python3.11/site-packages/sklearn/base.py", line 1473, in wrapper
    return fit_method(estimator, *args, **kwargs)
ValueError: Input contains NaN.`;

const NOTEBOOK = JSON.stringify({
  nbformat: 4,
  cells: [
    { cell_type: "markdown", source: "## Train the churn model\nReads the customers, fits, publishes." },
    { cell_type: "code", execution_count: 1, source: "import dotscience as ds\nimport pandas as pd\n\nds.start('baseline')", outputs: [] },
    {
      cell_type: "code",
      execution_count: 2,
      source: "frame = pd.read_csv(ds.input('data/customers.csv'))\nframe.head(2)",
      outputs: [{ output_type: "execute_result", data: { "text/plain": "   id  tenure  churned\n0   1      12        0\n1   2       3        1" } }],
    },
    {
      cell_type: "code",
      execution_count: 3,
      source: "plot(frame)",
      outputs: [{ output_type: "display_data", data: { "image/png": gradient().toString("base64") } }],
    },
  ],
});

/** A PNG of 320 by 160 pixels, so that the picture preview has something to show. */
function gradient(): Buffer {
  const [width, height] = [320, 160];
  const rows = Buffer.alloc((width * 3 + 1) * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      rows.set([63 + (x * 120) / width, 81 + (y * 140) / height, 194], y * (width * 3 + 1) + 1 + x * 3);
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, pngChunk("IHDR", head), pngChunk("IDAT", deflateSync(rows)), pngChunk("IEND", Buffer.alloc(0))]);
}

function pngChunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}

/** The checksum of PNG (ISO/IEC 15948, annex D). */
function crc32(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

const now_ms = Date.now();
const hub = new FakeHub();
hub.runs = Array.from({ length: RUNS }, (_, index) => demoRun(index, now_ms - index * 37 * MINUTE_MS));
hub.projects = [
  aProject({ runs: RUNS, last_run_at: new Date(now_ms - 4 * MINUTE_MS).toISOString() }),
  aProject({ id: "p2", name: "demand-forecast", runs: 212, last_run_at: new Date(now_ms - 3000 * MINUTE_MS).toISOString() }),
  aProject({ id: "p3", name: "image-tagger-with-a-rather-long-name-for-a-project", runs: 0, last_run_at: null, head: null }),
];
hub.snapshots = Array.from({ length: 40 }, (_, index) => ({
  info: aCommit({
    id: index === 0 ? COMMIT : index.toString(16).padStart(64, "c4"),
    message: index % 3 ? `1 run from notebooks/train.ipynb` : "Cleaned the labels by hand before the second series of experiments",
    consistency: index % 6 === 5 ? "fuzzy" : "stable",
    created_at: new Date(now_ms - index * 51 * MINUTE_MS).toISOString(),
    files: 128 + index,
    size: 48_233_112,
    new_bytes: 1024 * (index * 37 + 3),
    runs: hub.runs.slice(index * 2, index * 2 + 2).map((run) => run.id),
  }),
  files: {
    "train.py": 'import dotscience as ds\n\nds.script()\nds.start("baseline")\n\nif __name__ == "__main__":\n\tds.publish()\n',
    "README.md": "# Churn\n",
    "notebooks/train.ipynb": NOTEBOOK,
    "data/customers.csv": "id,tenure,churned\n1,12,0\n2,3,1\n",
    "plots/gradient.png": gradient(),
    "plots/report.html": "<h1 style='font-family:sans-serif'>Report</h1><script>document.body.textContent='scripts run'</script>",
    "models/churn.joblib": Buffer.from([0, 1, 2, 3]),
  },
}));

console.log(await hub.start(Number(process.argv[2] ?? 8899), serveStatic), `/p/${PROJECT}`);
for await (const _ of createInterface({ input: process.stdin })) hub.addRun(demoRun(hub.runs.length, Date.now()));
