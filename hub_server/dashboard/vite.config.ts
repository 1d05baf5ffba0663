import { defineConfig } from "vitest/config";

/**
 * Builds into `hub_server/static`, which the hub serves.
 *
 * `base` is relative, so that scripts and styles find each other below any path. In the page, which is served at every
 * path, the hub puts its own path in place of "./" (`load_dashboard`); its policy rules out a `<base>` element.
 */
export default defineConfig({
  base: "./",
  build: {
    outDir: "../static",
    emptyOutDir: true,
    // Nothing is inlined: the content security policy allows no `data:` scripts, styles or fonts.
    assetsInlineLimit: 0,
    rollupOptions: {
      // "use client" marks of libraries mean nothing in a bundle that is all client.
      onwarn: (warning, warn) => {
        if (warning.code !== "MODULE_LEVEL_DIRECTIVE") warn(warning);
      },
    },
  },
  server: {
    proxy: { "/api": { target: "http://127.0.0.1:8800", ws: true } },
  },
  test: {
    environment: "jsdom",
    setupFiles: ["test/setup.ts"],
    testTimeout: 30_000,
  },
});
