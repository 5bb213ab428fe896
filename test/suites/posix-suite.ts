/**
 * A POSIX suite as functions of a directory: run on a mounted drive and on a native folder, which
 * shows whether the suite itself is right. The cases run in a child process with a deadline.
 *
 * What a driver cannot do stands in its list of exclusions, with the reason. An excluded case is
 * run all the same and must fail, so that the list cannot grow stale, unless the exclusion says
 * that it must not be run.
 *
 * @module
 */
import type { Test } from 'tap'
import { runClient } from '../support/client-process.ts'
import type { PosixReportLine, PosixRunnerOptions } from './posix/posix-runner.ts'

const RUNNER = new URL('./posix/posix-runner.ts', import.meta.url)

/** Why a case is not expected to pass. */
export interface PosixExclusion {
  /** For people: what is missing, and whose limit it is. */
  readonly reason: string
  /** False when it would hang, or passes here and there. Otherwise it is run and must fail. */
  readonly run: boolean
}

/** What to run. */
export interface PosixSuiteOptions {
  /** An existing directory that may be filled and is left as it was. */
  readonly directory: string
  /** By the names of cases. */
  readonly exclusions: Readonly<Record<string, PosixExclusion>>
  /** How long all of it may take. */
  readonly deadlineMs: number
  /** Only these cases, for when one is looked into. */
  readonly only?: readonly string[]
}

/** What came of a case. */
export interface PosixResult {
  /** Its name. */
  readonly name: string
  /**
   * `excluded`: it failed as its exclusion says, or was not run.
   * `stale`: it passed though it is excluded. `hung`: it had not ended at the deadline.
   */
  readonly outcome: 'passed' | 'failed' | 'skipped' | 'excluded' | 'stale' | 'hung'
  /** Why, if it did not pass. */
  readonly message: string
  /** How long it took; 0 if it was not run. */
  readonly durationMs: number
}

/**
 * Runs the suite in a child process.
 *
 * @returns a result for each case that was to be run, in order
 * @throws when an exclusion names no case, or the child ended before its work
 */
export async function runPosixSuite(options: PosixSuiteOptions): Promise<readonly PosixResult[]> {
  const { exclusions } = options
  const without = Object.keys(exclusions).filter(name => exclusions[name]?.run === false)
  const toRunner: PosixRunnerOptions = {
    directory: options.directory,
    without,
    only: options.only ?? []
  }
  const client = await runClient({
    script: RUNNER,
    args: [JSON.stringify(toRunner)],
    deadlineMs: options.deadlineMs
  })
  const lines = client.values as readonly PosixReportLine[]
  const names = lines.flatMap(line => (line.kind === 'cases' ? line.names : []))
  const unknown = Object.keys(exclusions).filter(name => !names.includes(name))
  if (!client.timedOut && client.exitCode !== 0) {
    throw new Error(`the suite ended with code ${client.exitCode}: ${client.stderr}`)
  }
  if (names.length === 0 && client.timedOut) {
    throw new Error(`the suite did not begin within ${options.deadlineMs} ms: ${client.stderr}`)
  }
  if (unknown.length > 0) {
    throw new Error(`exclusions of cases that are not there: ${unknown.join(', ')}`)
  }
  const { stuck } = client
  return names.flatMap(name => resultOf(name, { lines, exclusion: exclusions[name], stuck }) ?? [])
}

/** Runs the suite as subtests, one a case. */
export async function posixSuite(t: Test, options: PosixSuiteOptions): Promise<void> {
  const results = await runPosixSuite(options)
  t.ok(
    results.some(result => result.outcome === 'passed'),
    'at least one case passed'
  )
  for (const { name, outcome, message, durationMs } of results) {
    const label = `${name} (${durationMs} ms)`
    if (outcome === 'passed') t.pass(label)
    else if (outcome === 'skipped') t.pass(label, { skip: message })
    else if (outcome === 'excluded') t.pass(`${name}: excluded, ${message}`)
    else if (outcome === 'stale') t.fail(`${name}: passes, take it off the list: ${message}`)
    else t.fail(`${name}: ${outcome}: ${message}`)
  }
}

function resultOf(
  name: string,
  from: {
    readonly lines: readonly PosixReportLine[]
    readonly exclusion: PosixExclusion | undefined
    readonly stuck: boolean
  }
): PosixResult | undefined {
  const { lines, exclusion, stuck } = from
  const started = lines.some(line => line.kind === 'started' && line.name === name)
  const ended = lines.find(line => line.kind === 'ended' && line.name === name)
  if (!started) {
    const notRun = exclusion?.run === false
    return notRun
      ? { name, outcome: 'excluded', message: exclusion.reason, durationMs: 0 }
      : undefined
  }
  if (ended?.kind !== 'ended') {
    const killed = stuck ? 'and could not be killed: it is stuck in the kernel' : 'and was killed'
    const message = `it had not ended at the deadline, ${killed}`
    return { name, outcome: 'hung', message, durationMs: 0 }
  }
  const { outcome, message, durationMs } = ended
  if (!exclusion) return { name, outcome, message, durationMs }
  const { reason } = exclusion
  return { name, outcome: outcome === 'passed' ? 'stale' : 'excluded', message: reason, durationMs }
}
