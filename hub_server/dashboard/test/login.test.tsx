import { screen, waitFor } from "@testing-library/react";
import { expect, test } from "vitest";

import { localPath } from "../src/features/session/next";
import { useHub } from "./app";
import { aProject, PROJECT } from "./factories";

const app = useHub();

test("a code in the fragment signs in, disappears from the address and is posted once", async () => {
  app.hub.isSignedIn = false;
  app.hub.projects = [aProject()];
  app.open("/login#code=the-code");
  expect(await screen.findByRole("link", { name: "churn-model" })).toBeTruthy();
  expect(window.location.pathname + window.location.hash).toBe("/");
  expect(app.hub.requests.filter((request) => request === "POST /api/v1/sessions")).toHaveLength(1);
});

test("after signing in the reader is where they wanted to go", async () => {
  app.hub.isSignedIn = false;
  app.hub.projects = [aProject()];
  app.open(`/login?next=${encodeURIComponent(`/p/${PROJECT}`)}#code=the-code`);
  await waitFor(() => expect(window.location.pathname).toBe(`/p/${PROJECT}`));
});

test("a used code says how to get a new link", async () => {
  app.hub.isSignedIn = false;
  app.open("/login#code=used-up");
  expect(await screen.findByText("This link does not work any more")).toBeTruthy();
  expect(screen.getByText("ds hub login-link")).toBeTruthy();
  expect(window.location.hash).toBe("");
});

test("a used code does no harm to somebody who is signed in already", async () => {
  app.hub.projects = [aProject()];
  app.open("/login#code=used-up");
  expect(await screen.findByRole("link", { name: "churn-model" })).toBeTruthy();
});

test("without a code the page explains where links come from", async () => {
  app.hub.isSignedIn = false;
  app.open("/login");
  expect(await screen.findByText("Sign in with a link")).toBeTruthy();
  expect(screen.getByText("ds up")).toBeTruthy();
  expect(screen.getByLabelText("Password")).toBeTruthy();
});

test("a hub that fails is not the link's fault", async () => {
  app.hub.isSignedIn = false;
  app.hub.failures.set("/api/v1/sessions", { status: 500, title: "Internal error", detail: "The disk is full." });
  app.open("/login#code=the-code");
  expect(await screen.findByText("The disk is full.")).toBeTruthy();
});

test.each([
  ["/p/x?sort=a", "/p/x?sort=a"],
  [undefined, "/"],
  ["https://evil.example/", "/"],
  ["//evil.example/", "/"],
  ["/\\evil.example", "/"],
  ["javascript:alert(1)", "/"],
])("the way back %s leads to %s", (next, path) => {
  expect(localPath(next)).toBe(path);
});
