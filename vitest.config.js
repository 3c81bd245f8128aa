import { defineConfig } from 'vitest/config'

// Tests run as compiled JavaScript: what is tested is what is shipped, and worker threads find their files.
export default defineConfig({
  test: {
    include: ['**/*.test.js'],
    exclude: ['**/node_modules/**'],
    setupFiles: process.env.HOLDFAST_FIRST_FAILURE === '1' ? ['dist/test/mutants/first-failure.js'] : [],
    // As many test files at once as there are cores; the default leaves one idle, which on two is half the machine.
    maxWorkers: '100%',
    // Only what hangs meets these: a slow machine must not, nor a thousand runs of a property.
    testTimeout: process.env.HOLDFAST_CI === '1' ? 900_000 : 300_000,
    hookTimeout: 300_000,
  },
})
