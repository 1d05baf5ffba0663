import { screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, expect, test } from "vitest";

import { apiUrl } from "../src/api/http";
import { basePath } from "../src/lib/base";
import { useHub } from "./app";
import { aProject, PROJECT } from "./factories";

const app = useHub();
const meta = document.createElement("meta");
meta.name = "base-path";

beforeEach(() => {
  app.hub.prefix = "/dotscience";
  meta.content = "/dotscience/";
  document.head.append(meta);
});
afterEach(() => meta.remove());

test("below a path, requests, links and live events stay below it", async () => {
  app.hub.projects = [aProject()];
  app.open("/dotscience/");
  const link = await screen.findByRole<HTMLAnchorElement>("link", { name: "churn-model" });
  expect(new URL(link.href).pathname).toBe(`/dotscience/p/${PROJECT}`);
  await waitFor(() => expect(app.hub.subscriptions.length).toBeGreaterThan(0));
  expect(new URL(apiUrl(["projects"])).pathname).toBe("/dotscience/api/v1/projects");
});

test.each([
  ["./", "/"],
  ["", "/"],
  ["/", "/"],
  ["/a/b/", "/a/b/"],
])("the path written as %j is %s", (written, path) => {
  meta.content = written;
  expect(basePath()).toBe(path);
});
