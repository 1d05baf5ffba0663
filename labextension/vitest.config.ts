import { defineConfig } from 'vitest/config';

/** Components run on the React of JupyterLab (18); without `dedupe` the testing library would bring the dashboard's. */
export default defineConfig({
  resolve: { dedupe: ['react', 'react-dom'] },
  test: {
    environment: 'jsdom',
    include: ['test/**/*.test.{ts,tsx}'],
    server: { deps: { inline: [/@testing-library/, /@jupyterlab/, /@lumino/] } }
  }
});
