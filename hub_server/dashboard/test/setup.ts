/** What jsdom lacks: layout, without which a virtual table has no rows, and modal dialogs. */

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

// A bound for a broken test, not a wait: a busy machine may take its time.
configure({ asyncUtilTimeout: 10_000 });

afterEach(() => {
  cleanup();
  localStorage.clear();
});
