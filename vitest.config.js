import { defineConfig } from 'vitest/config'

// Tests run as compiled JavaScript: what is tested is what is shipped, and worker threads find their files.
export default defineConfig({
  test: {
    include: ['**/*.test.js'],
    exclude: ['**/node_modules/**'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
