/**
 * Runs the cases of the POSIX suite on a directory and reports a line of JSON for each. Started by
 * `runPosixSuite` as a process of its own.
 *
 * Argument: a {@link PosixRunnerOptions} as JSON.
 *
 * @module
 */
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { attributeCases } from './attribute-cases.ts'
import { concurrencyCases } from './concurrency-cases.ts'
import { contentCases } from './content-cases.ts'
import { directoryCases } from './directory-cases.ts'
import { mappingCases } from './mapping-cases.ts'
import { nameCases } from './name-cases.ts'
import { openCases } from './open-cases.ts'
import { permissionCases } from './permission-cases.ts'
import { PosixDirectory, SkipCase, type PosixCase } from './posix-case.ts'
import { renameCases } from './rename-cases.ts'
import { xattrCases } from './xattr-cases.ts'

/** What the runner is told. */
export interface PosixRunnerOptions {
  /** Where to run; must exist. */
  readonly directory: string
  /** Cases not to run at all. */
  readonly without: readonly string[]
  /** Only these, if any are named. */
  readonly only: readonly string[]
}

/** What the runner reports of a case, or first of all the names of all cases. */
export type PosixReportLine =
  | { readonly kind: 'cases'; readonly names: readonly string[] }
  | { readonly kind: 'started'; readonly name: string }
  | {
      readonly kind: 'ended'
      readonly name: string
      readonly outcome: 'passed' | 'failed' | 'skipped'
      /** Why it failed or was skipped. */
      readonly message: string
      readonly durationMs: number
    }

const CASES: readonly PosixCase[] = [
  openCases,
  contentCases,
  mappingCases,
  nameCases,
  renameCases,
  directoryCases,
  attributeCases,
  permissionCases,
  xattrCases,
  concurrencyCases
].flat()

async function main(options: PosixRunnerOptions): Promise<void> {
  report({ kind: 'cases', names: CASES.map(one => one.name) })
  for (const [number, posixCase] of CASES.entries()) {
    const { name } = posixCase
    if (options.without.includes(name)) continue
    if (options.only.length > 0 && !options.only.includes(name)) continue
    report({ kind: 'started', name })
    const started = performance.now()
    const outcome = await outcomeOf(posixCase, join(options.directory, `case-${number}`))
    const durationMs = Math.round(performance.now() - started)
    report({ kind: 'ended', name, ...outcome, durationMs })
  }
}

async function outcomeOf(posixCase: PosixCase, directory: string) {
  try {
    await mkdir(directory)
    await posixCase.run(new PosixDirectory(directory))
    await rm(directory, { recursive: true })
    return { outcome: 'passed', message: '' } as const
  } catch (error) {
    const left = await leftOver(directory)
    if (error instanceof SkipCase) return { outcome: 'skipped', message: error.message } as const
    return { outcome: 'failed', message: `${describe(error)}${left}` } as const
  }
}

/** Removes what a failed case left, and says what would not go. */
async function leftOver(directory: string): Promise<string> {
  try {
    await rm(directory, { recursive: true, force: true })
    return ''
  } catch (error) {
    const names = await readdir(directory).catch(() => [])
    return `\n(could not be removed: ${describe(error)}; left: ${names.slice(0, 5).join(', ')})`
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const where = /at .*-cases\.ts:\d+/.exec(error.stack ?? '')?.[0] ?? ''
  const cause = error.cause === undefined ? '' : `\ncaused by ${describe(error.cause)}`
  return `${error.message} ${where}${cause}`
}

function report(line: PosixReportLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

await main(JSON.parse(process.argv[2] ?? '') as PosixRunnerOptions)
