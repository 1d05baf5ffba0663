import { fireEvent, screen, waitFor } from "@testing-library/react";
import { beforeEach, expect, test } from "vitest";

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

// ------------------------------------------------------------------------------------------------------ a password

const INVITED = { is_admin: false, is_operator: false, has_password: false, by_login_link: true };

beforeEach(() => {
  app.hub.answers.set("GET /api/v1/sessions", () => []);
});

function arrive(account: Partial<typeof app.hub.account>, path: string): void {
  app.hub.isSignedIn = false;
  app.hub.projects = [aProject()];
  Object.assign(app.hub.account, account);
  app.open(path);
}

test("somebody who has no password chooses one at the first link, and goes on", async () => {
  app.hub.answers.set("PUT /api/v1/password", (body) => {
    expect(body).toEqual({ password: "correct horse" });
    app.hub.account.has_password = true;
    return [204, null];
  });
  arrive(INVITED, `/login?next=${encodeURIComponent(`/p/${PROJECT}`)}#code=the-code`);
  expect(await screen.findByRole("heading", { name: "Choose a password" })).toBeTruthy();
  expect(window.location.pathname + window.location.hash).toBe("/password");
  expect(screen.queryByRole("button", { name: "Not now" })).toBeNull();
  expect(screen.queryByLabelText("Current password")).toBeNull();
  fireEvent.change(screen.getByLabelText(/^New password/), { target: { value: "correct horse" } });
  fireEvent.click(screen.getByRole("button", { name: "Choose password" }));
  await waitFor(() => expect(window.location.pathname).toBe(`/p/${PROJECT}`));
});

test("what the hub has against a password is said, and the page stays", async () => {
  app.hub.answers.set("PUT /api/v1/password", () => [422, { title: "Invalid", detail: "a password is not the name" }]);
  arrive(INVITED, "/login#code=the-code");
  fireEvent.change(await screen.findByLabelText(/^New password/), { target: { value: "ada ada ada" } });
  fireEvent.click(screen.getByRole("button", { name: "Choose password" }));
  expect((await screen.findByRole("alert")).textContent).toContain("a password is not the name");
  expect(window.location.pathname).toBe("/password");
});

test.each([
  ["the operator, whom a command lets in again", { has_password: false }],
  ["who has a password", { ...INVITED, has_password: true }],
])("%s is not asked", async (_who, account) => {
  arrive(account, "/login#code=the-code");
  expect(await screen.findByRole("link", { name: "churn-model" })).toBeTruthy();
});

test("a link for a new password asks for it without the one before, and can be declined", async () => {
  arrive({ ...INVITED, has_password: true }, "/login?next=%2Fpassword#code=the-code");
  expect(await screen.findByRole("heading", { name: "Choose a new password" })).toBeTruthy();
  expect(screen.queryByLabelText("Current password")).toBeNull();
  fireEvent.click(screen.getByRole("button", { name: "Not now" }));
  expect(await screen.findByRole("link", { name: "churn-model" })).toBeTruthy();
});

test("without a session the page for a password leads to the login page", async () => {
  app.hub.isSignedIn = false;
  app.open("/password");
  expect(await screen.findByText("Sign in with a link")).toBeTruthy();
});

test("a password can be shown while it is typed", async () => {
  arrive(INVITED, "/login#code=the-code");
  const field = await screen.findByLabelText<HTMLInputElement>(/^New password/);
  fireEvent.click(screen.getByLabelText("Show the new password"));
  expect(field.type).toBe("text");
});

test("whoever went on without a password is reminded, also on the account page", async () => {
  Object.assign(app.hub.account, INVITED);
  app.hub.projects = [aProject()];
  app.open("/");
  fireEvent.click(await screen.findByRole("link", { name: "Choose a password" }));
  expect(await screen.findByRole("button", { name: "Choose password" })).toBeTruthy();
});

test("the account page asks for the current password where there is one to know", async () => {
  app.open("/account");
  expect(await screen.findByLabelText("Current password")).toBeTruthy();
  expect(screen.queryByText(/You have no password yet/)).toBeNull();
});

// ------------------------------------------------------------------------------------------------------ links

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
  ["/\t/evil.example", "/"],
  ["/.//evil.example", "/"],
  ["/a/..//evil.example", "/"],
  ["/./\\evil.example", "/"],
  ["//user@evil.example/", "/"],
  ["/%2f%2fevil.example", "/%2f%2fevil.example"],
  [" //evil.example", "/"],
])("the way back %s leads to %s", (next, path) => {
  expect(localPath(next)).toBe(path);
});
