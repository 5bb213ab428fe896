/**
 * Runs the real-tool suite on a directory and reports a line of JSON for each case, then the
 * manifest. Started by `runRealTools` as a process of its own.
 *
 * Argument: a {@link RealToolsRunnerOptions} as JSON.
 *
 * @module
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { programPath } from '../../support/program.ts'
import { copyCases } from './copy-cases.ts'
import { databaseCases } from './database-cases.ts'
import { gitCases } from './git-cases.ts'
import { expectSameManifest, manifestOf, type Manifest, type ManifestField } from './manifest.ts'
import { packageCases } from './package-cases.ts'
import { textCases } from './text-cases.ts'
import { ToolDirectory, type ToolCase } from './tool-case.ts'

/** What the runner is told. */
export interface RealToolsRunnerOptions {
  /** Under test. */
  readonly directory: string
  /** Use the tools on an empty directory, or check what they left. */
  readonly phase: 'fill' | 'verify'
  /** Where the manifest of `fill` is, for `verify`: a file on a native file system. */
  readonly manifestFile: string
  /** What a restart may change. */
  readonly without: readonly ManifestField[]
  /** Only these cases, if any are named. */
  readonly only: readonly string[]
}

/** What the runner reports. */
export type RealToolsReportLine =
  | { readonly kind: 'started'; readonly name: string }
  | {
      readonly kind: 'ended'
      readonly name: string
      /** Why it failed; undefined if it did not. */
      readonly failure?: string
      readonly durationMs: number
    }
  | { readonly kind: 'manifest'; readonly manifest: Manifest }

/** The names under which the comparisons of the whole tree are reported. */
const TREE = 'the tree is as it was'
const TREE_STILL = 'the tree is still as it was'
/** Where `verify` may write. */
const SCRATCH = 'verify-scratch'

const CASES: readonly ToolCase[] = [
  gitCases,
  databaseCases,
  copyCases,
  packageCases,
  textCases
].flat()

async function main(options: RealToolsRunnerOptions): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), 'grove-tools-'))
  try {
    if (options.phase === 'verify') await reportOn(TREE, async () => compareTree(options))
    for (const toolCase of CASES) {
      if (options.only.length > 0 && !options.only.includes(toolCase.name)) continue
      const native = join(scratch, toolCase.name)
      await reportOn(toolCase.name, async () => runCase(toolCase, options, native))
      rmSync(native, { recursive: true, force: true })
    }
    if (options.phase === 'verify') await reportOn(TREE_STILL, async () => compareTree(options))
    if (options.phase === 'fill') {
      report({ kind: 'manifest', manifest: manifestOf(options.directory) })
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

async function runCase(
  toolCase: ToolCase,
  options: RealToolsRunnerOptions,
  native: string
): Promise<void> {
  for (const [program, debianPackage] of Object.entries(toolCase.tools)) {
    if (programPath(program) === undefined) {
      throw new Error(`${program} is not installed: apt-get install ${debianPackage}`)
    }
  }
  const directory = join(options.directory, toolCase.name.replaceAll(/[^a-z0-9]+/g, '-'))
  const scratch = join(options.directory, SCRATCH)
  mkdirSync(options.phase === 'fill' ? directory : scratch)
  try {
    await toolCase[options.phase](new ToolDirectory({ directory, native, scratch }))
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

async function compareTree(options: RealToolsRunnerOptions): Promise<void> {
  expectSameManifest({
    what: 'after the restart',
    actual: manifestOf(options.directory),
    expected: JSON.parse(readFileSync(options.manifestFile, 'utf8')) as Manifest,
    without: options.without
  })
  return Promise.resolve()
}

async function reportOn(name: string, work: () => Promise<void>): Promise<void> {
  report({ kind: 'started', name })
  const started = performance.now()
  const failure = await work().then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : String(error))
  )
  const durationMs = Math.round(performance.now() - started)
  report({ kind: 'ended', name, durationMs, ...(failure === undefined ? {} : { failure }) })
}

function report(line: RealToolsReportLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

await main(JSON.parse(process.argv[2] ?? '') as RealToolsRunnerOptions)
