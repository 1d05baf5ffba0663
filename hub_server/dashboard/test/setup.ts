/** What jsdom lacks: layout, without which a virtual table has no rows, modal dialogs, and signals that fetch takes. */

import { transferableAbortController } from "node:util";

import { cleanup, configure } from "@testing-library/react";
import { afterEach } from "vitest";

const HEIGHT_PX = 720;
const WIDTH_PX = 1280;
const SCROLL_HEIGHT_PX = 100_000;

Object.defineProperty(Element.prototype, "clientHeight", { get: () => HEIGHT_PX });
Object.defineProperty(Element.prototype, "clientWidth", { get: () => WIDTH_PX });
Object.defineProperty(Element.prototype, "scrollHeight", { get: () => SCROLL_HEIGHT_PX });
Element.prototype.scrollTo = () => undefined;
window.scrollTo = () => undefined;
HTMLDialogElement.prototype.showModal = function showModal() {
  this.open = true;
};

// Node's fetch refuses jsdom's signals. jsdom's classes hide Node's own, so these are taken from an instance.
const native = transferableAbortController();
Object.assign(globalThis, { AbortController: native.constructor, AbortSignal: native.signal.constructor });

// A bound for a broken test, not a wait: a busy machine may take its time.
configure({ asyncUtilTimeout: 10_000 });

afterEach(() => {
  cleanup();
  localStorage.clear();
});
