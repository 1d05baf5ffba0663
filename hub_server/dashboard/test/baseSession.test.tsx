import { waitFor } from "@testing-library/react";
import { afterEach, beforeEach, expect, test } from "vitest";

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

test("below a path, a session that is missing leads to the login page, and a login link back", async () => {
  app.hub.isSignedIn = false;
  app.hub.projects = [aProject()];
  app.open(`/dotscience/p/${PROJECT}`);
  await waitFor(() => expect(window.location.pathname).toBe("/dotscience/login"));
  expect(new URLSearchParams(window.location.search).get("next")).toBe(`/p/${PROJECT}`);
  window.location.hash = "code=the-code";
  await waitFor(() => expect(window.location.pathname + window.location.hash).toBe(`/dotscience/p/${PROJECT}`));
});
