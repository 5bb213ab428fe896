/**
 * Model-based property test of a {@link Vfs}: random histories, done on the naive model in memory
 * and on a subject, with the same answers, the same errno and the same tree.
 *
 * @module
 */
import fc from 'fast-check'
import { ROOT_INODE, type Vfs } from '../../src/fs/vfs.ts'
import { MemoryVfs } from './memory-vfs.ts'
import { vfsHistories, type VfsCommand } from './vfs-command.ts'
import { VfsHistory } from './vfs-history.ts'
import { VfsTwins } from './vfs-twins.ts'
import { VirtualClock } from './virtual-clock.ts'

/** After how many steps the trees are compared, if not told otherwise. */
const CHECK_EVERY_STEPS = 8

/** How long a call may take in real time, if not told otherwise. */
const CALL_MS_MAX = 20_000

/** What is compared with the model. */
export interface HistorySubject {
  /** Empty. The owner, mode and times of its root directory are set before it is compared. */
  readonly vfs: Vfs
  /**
   * Closes the subject, or lets it die after a sync, and opens it again: for a subject that
   * keeps what it holds. May rebuild what is derived. Handles that were open are gone.
   */
  reopen?(): Promise<Vfs>
  /** Releases everything. */
  close(): Promise<void>
}

/** How to compare. */
export interface CompareOptions {
  /** Makes a subject that takes its time from this clock, unless `times` is `'ignore'`. */
  readonly subject: (clock: VirtualClock) => Promise<HistorySubject> | HistorySubject
  /** How many histories. */
  readonly runs: number
  /** Makes the histories; the same seed makes the same. */
  readonly seed: number
  /** The longest history. */
  readonly steps: number
  /** Called after each step: for invariants of the subject. May throw. */
  readonly onStep?: (step: {
    readonly number: number
    readonly command: VfsCommand
  }) => Promise<void> | void
  /** Mixes in steps that close and reopen the subject. False by default. */
  readonly reopen?: boolean
  /** Changes each history before it is done: to leave out what cannot be compared. */
  readonly history?: (history: readonly VfsCommand[]) => readonly VfsCommand[]
  /** Whether times are compared. `'exact'` by default. */
  readonly times?: 'exact' | 'ignore'
  /** After how many steps the trees are compared; they always are at the end. */
  readonly checkEverySteps?: number
  /** How long a call may take in real time before it counts as hung; 20 s by default. */
  readonly callMsMax?: number
  /** Whether a failing history is made shorter before it is reported. True by default. */
  readonly shrink?: boolean
  /** fast-check's `path` of a failure, to begin with that very history. */
  readonly path?: string
}

/**
 * Does random histories on both and compares.
 *
 * @throws when they differ: with the seed, the path and the shortest history that was found
 */
export async function compareOnRandomHistories(options: CompareOptions): Promise<void> {
  const histories = vfsHistories({ steps: options.steps, reopen: options.reopen ?? false })
  const { history: change = history => history } = options
  const property = fc.asyncProperty(histories, async history => compareOn(change(history), options))
  await fc.assert(property, {
    numRuns: options.runs,
    seed: options.seed,
    endOnFailure: options.shrink === false,
    ...(options.path === undefined ? {} : { path: options.path })
  })
}

/** Does one history on both and compares: for a history that was found and is kept. */
export async function compareOn(
  history: readonly VfsCommand[],
  options: Omit<CompareOptions, 'runs' | 'seed' | 'steps' | 'path' | 'shrink' | 'history'>
): Promise<void> {
  const clock = new VirtualClock()
  const model = new MemoryVfs({ clock, uid: 0, gid: 0 })
  const subject = await options.subject(clock)
  const twins = new VfsTwins({
    vfs: { model, subject: subject.vfs },
    clock,
    times: options.times ?? 'exact',
    callMsMax: options.callMsMax ?? CALL_MS_MAX
  })
  const steps = new VfsHistory({ twins, clock, reopen: subject.reopen?.bind(subject) })
  const every = options.checkEverySteps ?? CHECK_EVERY_STEPS
  try {
    await alignRoots(twins)
    for (const [number, command] of history.entries()) {
      await named(number, command, async () => {
        await steps.apply(command)
        if (number % every === every - 1) await twins.compareTrees({ content: false })
        await options.onStep?.({ number, command })
      })
    }
    await twins.compareTrees({ content: true })
    await steps.finish()
    await twins.compareTrees({ content: true })
  } finally {
    await subject.close()
  }
}

/** Who made the root directory and when is a subject's own affair. */
async function alignRoots(twins: VfsTwins): Promise<void> {
  const root = { mode: 0o755, uid: 0, gid: 0, atime: 'now', mtime: 'now' } as const
  await twins.attributes('the root', side => side.vfs.setattr(ROOT_INODE, root))
}

async function named(
  number: number,
  command: VfsCommand,
  step: () => Promise<void>
): Promise<void> {
  try {
    await step()
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`step ${number}, ${fc.stringify(command)}: ${message}`, { cause })
  }
}
