import { createRequire } from 'node:module';
import { dirname } from 'node:path';

import { defineConfig } from 'vitest/config';

const { resolve } = createRequire(import.meta.url);
const folderOf = (name: string): string => dirname(resolve(`${name}/package.json`));

/** The testing library must find JupyterLab's React (18), not the dashboard's, which lies higher in the tree. */
export default defineConfig({
  resolve: {
    alias: { react: folderOf('react'), 'react-dom': folderOf('react-dom') },
    mainFields: ['module', 'main'] // the library's CommonJS build would not see the aliases
  },
  test: {
    environment: 'jsdom',
    setupFiles: ['test/jsdom.ts'],
    include: ['test/**/*.test.{ts,tsx}'],
    server: { deps: { inline: [/@testing-library/] } }
  }
});
