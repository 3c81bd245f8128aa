import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from './processes.mjs'

/** Runs every test runner, prints the sum as the last line and resolves to the exit code. */
export async function test({ root, args }) {
  const total = { passed: 0, failed: 0, skipped: 0 }
  for (const runner of [vitest]) {
    const counts = await runner({ root, args })
    for (const kind of Object.keys(total)) total[kind] += counts[kind]
  }
  const skipsFail = process.env.HOLDFAST_CI === '1' && total.skipped > 0
  if (skipsFail) console.log('with HOLDFAST_CI=1 a skipped test is a failure')
  const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : ''
  console.log(`${total.passed} passed, ${total.failed} failed${skipped}`)
  return total.failed > 0 || skipsFail || total.passed === 0 ? 1 : 0
}

async function vitest({ root, args }) {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-tests-'))
  const report = join(folder, 'vitest.json')
  try {
    const code = await run(
      process.execPath,
      [
        join(root, 'node_modules', 'vitest', 'vitest.mjs'),
        'run',
        '--reporter=default',
        '--reporter=json',
        `--outputFile.json=${report}`,
        ...args,
      ],
      { cwd: root },
    )
    if (code > 128) process.exit(code)
    return countVitest({ report: readReport(report), code })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function readReport(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return null
  }
}

/** A file that could not be loaded has no tests to fail, and an unhandled error belongs to none: each still counts. */
export function countVitest({ report, code }) {
  if (report === null) return { passed: 0, failed: 1, skipped: 0 }
  const unloaded = report.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0)
  const failed = report.numFailedTests + unloaded.length
  return {
    passed: report.numPassedTests,
    failed: failed === 0 && code !== 0 ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  }
}
