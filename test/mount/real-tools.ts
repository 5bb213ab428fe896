/**
 * The real-tool suite as a function of a directory: git, sqlite3, rsync, tar, cp, npm and what
 * editors do, first to fill the directory, then to check it again after a restart, as often as
 * there are restarts: checking leaves the directory as it was. The tools run
 * in a child process with a deadline. A tool that is not installed is a failure that names the
 * Debian package.
 *
 * @module
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { runClient } from '../support/client-process.ts'
import type { Manifest, ManifestField } from './real-tools/manifest.ts'
import type { RealToolsReportLine, RealToolsRunnerOptions } from './real-tools/real-tools-runner.ts'

const RUNNER = new URL('./real-tools/real-tools-runner.ts', import.meta.url)
/** How long a phase may take, if not told otherwise. */
const DEADLINE_MS = 180_000

/** What to run. */
export interface RealToolsOptions {
  /** Under test; empty for `fill`. */
  readonly directory: string
  /** Use the tools, or check what they left. */
  readonly phase: 'fill' | 'verify'
  /** What `fill` gave; for `verify`. */
  readonly manifest?: Manifest
  /** What a restart may change with this driver. Nothing by default. */
  readonly without?: readonly ManifestField[]
  /** How long all of it may take. */
  readonly deadlineMs?: number
  /** Only these cases, for when one is looked into. */
  readonly only?: readonly string[]
}

/** What came of a case. */
export interface RealToolResult {
  /** The tool. */
  readonly name: string
  /** Why it failed; undefined if it did not. */
  readonly failure: string | undefined
  /** How long it took; 0 when it did not end. */
  readonly durationMs: number
}

/** What came of a phase. */
export interface RealToolsReport {
  /** A result for each case that began. */
  readonly results: readonly RealToolResult[]
  /** The tree that `fill` left; empty after `verify`. */
  readonly manifest: Manifest
}

/**
 * Runs a phase in a child process.
 *
 * @throws when `verify` is given no manifest, or the child ended before its work
 */
export async function runRealTools(options: RealToolsOptions): Promise<RealToolsReport> {
  if (options.phase === 'verify' && !options.manifest) {
    throw new TypeError('verify needs the manifest that fill gave')
  }
  const scratch = await mkdtemp(join(tmpdir(), 'grove-manifest-'))
  try {
    const manifestFile = join(scratch, 'manifest.json')
    await writeFile(manifestFile, JSON.stringify(options.manifest ?? {}))
    return await runPhase(
      {
        directory: options.directory,
        phase: options.phase,
        manifestFile,
        without: options.without ?? [],
        only: options.only ?? []
      },
      options.deadlineMs ?? DEADLINE_MS
    )
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** Runs a phase as assertions, one a case. @returns the manifest, for `verify` */
export async function realToolsSuite(t: Test, options: RealToolsOptions): Promise<Manifest> {
  const { results, manifest } = await runRealTools(options)
  t.ok(results.length > 0, `${options.phase}: at least one tool was used`)
  for (const { name, failure, durationMs } of results) {
    if (failure === undefined) t.pass(`${options.phase}: ${name} (${durationMs} ms)`)
    else t.fail(`${options.phase}: ${name}: ${failure}`)
  }
  return manifest
}

async function runPhase(
  toRunner: RealToolsRunnerOptions,
  deadlineMs: number
): Promise<RealToolsReport> {
  const client = await runClient({
    script: RUNNER,
    args: [JSON.stringify(toRunner)],
    deadlineMs
  })
  if (!client.timedOut && client.exitCode !== 0) {
    throw new Error(`the tools ended with code ${client.exitCode}: ${client.stderr}`)
  }
  const lines = client.values as readonly RealToolsReportLine[]
  if (lines.length === 0) throw new Error(`no tool began within ${deadlineMs} ms`)
  const stuck = client.stuck ? ', and could not be killed: it is stuck in the kernel' : ''
  const results = lines.flatMap((line): RealToolResult[] => {
    if (line.kind !== 'started') return []
    const ended = lines.find(other => other.kind === 'ended' && other.name === line.name)
    if (ended?.kind === 'ended') {
      return [{ name: line.name, failure: ended.failure, durationMs: ended.durationMs }]
    }
    const failure = `had not ended after ${deadlineMs} ms${stuck}`
    return [{ name: line.name, failure, durationMs: 0 }]
  })
  const last = lines.at(-1)
  return { results, manifest: last?.kind === 'manifest' ? last.manifest : {} }
}
