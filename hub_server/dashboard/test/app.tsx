import { render } from "@testing-library/react";
import { afterEach, beforeEach } from "vitest";

import { createApp } from "../src/app";
import { FakeHub } from "./fakeHub";

/** vitest's jsdom environment leaves its window's owner here. */
declare const jsdom: { reconfigure: (settings: { url: string }) => void };

/** A hub per test, and the app opened on it. */
export function useHub(): { readonly hub: FakeHub; open: (path: string) => void } {
  let hub = new FakeHub();
  let origin = "";
  beforeEach(async () => {
    hub = new FakeHub();
    origin = await hub.start();
  });
  afterEach(() => hub.stop());
  return {
    get hub() {
      return hub;
    },
    open: (path) => {
      jsdom.reconfigure({ url: origin + path });
      const App = createApp();
      render(<App />);
    },
  };
}
