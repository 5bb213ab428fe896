/**
 * Starts a holder in the background and waits until devices can find it.
 *
 * @module
 */
import type { HolderCodeAnswer } from './holder-api.ts'
import type { HolderHome } from './holder-home.ts'
import type { HolderSettingsChange } from './holder-settings.ts'
import type { Environment } from './home.ts'
import { launchProcess } from './launch-process.ts'

/** Small servers have little memory: node keeps young objects in less, and trades speed for size. */
const NODE_FLAGS = ['--max-semi-space-size=2', '--optimize-for-size']

/**
 * For malloc (mallopt(3)): every thread of the database and the network would have a heap of its
 * own; and once a block was freed glibc takes blocks from its heap, which breaks up and stays
 * (127 MB resident after 2 GB of blocks, 99 MB with blocks in mappings of their own).
 */
const MEMORY_ENVIRONMENT: Environment = {
  MALLOC_ARENA_MAX: '2',
  MALLOC_MMAP_THRESHOLD_: '65536',
  MALLOC_TRIM_THRESHOLD_: '1048576'
}

/** What to start, and whom to tell. */
export interface LaunchHolderOptions {
  /** The home, prepared. */
  readonly home: HolderHome
  /** What it is to be from now on. */
  readonly change: HolderSettingsChange
  /** Passed on. */
  readonly environment: Environment
  /** Gives up and ends the holder when aborted. */
  readonly signal: AbortSignal
}

/**
 * Starts a holder; it outlives this process.
 *
 * @returns a code of it
 * @throws {GroveError} what it said, or `NO_ANSWER` when it ended or got stuck without a word
 */
export async function launchHolder(options: LaunchHolderOptions): Promise<HolderCodeAnswer> {
  const { home, change, environment, signal } = options
  return launchProcess({
    home,
    nodeFlags: NODE_FLAGS,
    words: ['host', '--launched', ...wordsOf(change)],
    environment: { ...MEMORY_ENVIRONMENT, ...environment },
    signal,
    onMessage: message => (message.kind === 'hosting' ? message.code : undefined)
  })
}

function wordsOf(change: HolderSettingsChange): readonly string[] {
  const { spaceBytes, name, site, labels, imbalance, drive } = change
  const notes = Object.entries(labels ?? {})
  return [
    ...(spaceBytes === undefined ? [] : [`--space=${spaceBytes}B`]),
    ...(name === undefined ? [] : [`--name=${name}`]),
    ...(site === undefined ? [] : [`--site=${site}`]),
    ...(imbalance === undefined ? [] : [`--imbalance=${imbalance}`]),
    ...(drive === undefined ? [] : [`--drive=${drive}`]),
    ...notes.map(([key, value]) => `--label=${key}=${value}`)
  ]
}
