import { defineConfig } from 'vitest/config'

/** Rooms whose tests run on virtual time, and leave nothing behind in their process. */
const virtual = ['base', 'client', 'kv', 'raft', 'range', 'sim', 'store', 'testing'].map(
  (room) => `**/test/${room}/**/*.test.js`,
)

// Tests run as compiled JavaScript: what is tested is what is shipped, and worker threads find their files.
export default defineConfig({
  test: {
    dir: 'dist',
    setupFiles: [
      'dist/test/bytes-equality.js',
      ...(process.env.HOLDFAST_FIRST_FAILURE === '1' ? ['dist/test/mutants/first-failure.js'] : []),
    ],
    // As many test files at once as there are cores; the default leaves one idle, which on two is half the machine.
    maxWorkers: '100%',
    // Only what hangs meets these: a slow machine must not, nor a thousand runs of a property.
    testTimeout: process.env.HOLDFAST_CI === '1' ? 900_000 : 300_000,
    hookTimeout: 300_000,
    // Node loads what it can load: only the test files themselves need Vitest for it.
    server: { deps: { external: [/\/dist\/(?!.*\.test\.js$)/] } },
    projects: [
      {
        extends: true,
        // One process runs many files: starting one costs more than most files do, and simulated minutes are faster in code that is warm.
        test: { name: 'virtual', include: virtual, isolate: false },
      },
      {
        extends: true,
        test: { name: 'real', include: ['**/*.test.js'], exclude: ['**/node_modules/**', ...virtual] },
      },
    ],
  },
})
