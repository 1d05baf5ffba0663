import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";

import { useHub } from "./app";
import { aProject, aRun, PROJECT } from "./factories";

const app = useHub();

test("a hub without projects shows how to make the first run", async () => {
  app.open("/");
  expect(await screen.findByText("No projects yet")).toBeTruthy();
  expect(screen.getByText(/ds\.publish\(\)/)).toBeTruthy();
});

test("projects are listed with their runs and lead to them", async () => {
  app.hub.projects = [aProject({ runs: 1234 }), aProject({ id: "other", name: "Other", last_run_at: null })];
  app.open("/");
  const link = await screen.findByRole("link", { name: "churn-model" });
  expect(link.getAttribute("href")).toBe(`/p/${PROJECT}`);
  const row = link.closest("tr");
  expect(row && within(row).getByText("1,234")).toBeTruthy();
});

test("the list follows a run in one of its projects", async () => {
  app.hub.projects = [aProject({ runs: 1 })];
  app.open("/");
  await screen.findByRole("link", { name: "churn-model" });
  await waitFor(() => expect(app.hub.subscriptions.at(-1)).toContain("projects"));
  app.hub.projects = [aProject({ runs: 77 })];
  app.hub.addRun(aRun());
  expect(await screen.findByText("77")).toBeTruthy();
});

test("a refusal shows what happened and its request id, and another try can succeed", async () => {
  app.hub.projects = [aProject()];
  app.hub.failures.set("/api/v1/projects", { status: 403, title: "Forbidden", detail: "This account is locked." });
  app.open("/");
  expect(await screen.findByText("This account is locked.")).toBeTruthy();
  expect(screen.getByText("req-4711")).toBeTruthy();
  app.hub.failures.clear();
  fireEvent.click(screen.getByRole("button", { name: "Try again" }));
  expect(await screen.findByRole("link", { name: "churn-model" })).toBeTruthy();
});

test("a session that is over leads to the login page, which remembers the way back", async () => {
  app.hub.isSignedIn = false;
  app.open(`/p/${PROJECT}?sort=summary.loss&order=asc`);
  expect(await screen.findByText("Sign in with a link")).toBeTruthy();
  expect(window.location.pathname).toBe("/login");
  expect(new URLSearchParams(window.location.search).get("next")).toContain(`/p/${PROJECT}?sort=summary.loss`);
});

test("an unknown project says so", async () => {
  app.open("/p/nowhere");
  expect(await screen.findByText("No such project")).toBeTruthy();
});

test("signing out ends the session and leaves", async () => {
  app.open("/");
  fireEvent.click(await screen.findByRole("button", { name: "Sign out" }));
  expect(await screen.findByText("Sign in with a link")).toBeTruthy();
  expect(app.hub.requests).toContain("DELETE /api/v1/session");
});

test("the shortcut list shows what this page knows", async () => {
  app.open("/");
  await screen.findByText("No projects yet");
  fireEvent.keyDown(document.body, { key: "?" });
  const dialog = await screen.findByRole("dialog");
  expect(within(dialog).getByText("Go to projects")).toBeTruthy();
  expect(within(dialog).queryByText("Next run")).toBeNull();
});

test("the theme button goes through system, light and dark, and remembers", async () => {
  app.open("/");
  fireEvent.click(await screen.findByRole("button", { name: /Theme: system/ }));
  fireEvent.click(await screen.findByRole("button", { name: /Theme: light/ }));
  expect(await screen.findByRole("button", { name: /Theme: dark/ })).toBeTruthy();
  expect(document.documentElement.dataset["theme"]).toBe("dark");
  expect({ ...localStorage }).toEqual({ "dotscience.theme": "dark" });
});
