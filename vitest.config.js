import { defineConfig } from 'vitest/config'

// Tests run as compiled JavaScript: what is tested is what is shipped, and worker threads find their files.
export default defineConfig({
  test: {
    include: ['**/*.test.js'],
    exclude: ['**/node_modules/**'],
    // As many test files at once as there are cores; the default leaves one idle, which on two is half the machine.
    maxWorkers: '100%',
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
