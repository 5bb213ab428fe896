/**
 * The incremental index equals the oracle after every step of random histories, and again when
 * the drive was closed, killed, cut off from power or rebuilt in the middle. What a crash leaves,
 * the tree made anew from the log and the oracle's tree of the log are one.
 */
import fc from 'fast-check'
import t from 'tap'
import { DriveSubject, withoutNameless } from '../support/drive-subject.ts'
import { vfsHistories, type VfsCommand } from '../support/vfs-command.ts'
import { compareOn } from '../support/vfs-commands.ts'
import type { VirtualClock } from '../support/virtual-clock.ts'

const SEED = 20_261_107
const RUNS = 110
const STEPS = 40

/** One history with a check after every step, a crash at its end and a check of what is left. */
async function checkHistory(
  history: readonly VfsCommand[],
  options: { readonly seed: number; readonly numbers: boolean }
): Promise<void> {
  const made: DriveSubject[] = []
  const subject = async (clock: VirtualClock) => {
    const drive = await DriveSubject.create(clock, options.seed)
    made.push(drive)
    // Not closed: it is to crash as the history left it.
    const close = (): Promise<void> => Promise.resolve()
    return { vfs: drive.vfs, reopen: () => drive.reopen(), close }
  }
  await compareOn(history, { subject, onStep: () => made[0]?.check() })
  await made[0]?.crashAndCheck(options)
  await made[0]?.close()
}

t.test(`with reopening: ${RUNS} histories of up to ${STEPS} steps`, async () => {
  const histories = vfsHistories({ steps: STEPS, reopen: true })
  const property = fc.asyncProperty(histories, fc.nat(), async (history, seed) =>
    checkHistory(withoutNameless(history), { seed, numbers: true })
  )
  await fc.assert(property, { numRuns: RUNS, seed: SEED })
})

t.test(`with files without a name: ${RUNS} histories of up to ${STEPS} steps`, async () => {
  const histories = vfsHistories({ steps: STEPS, reopen: false })
  const property = fc.asyncProperty(histories, fc.nat(), async (history, seed) =>
    checkHistory(history, { seed, numbers: false })
  )
  await fc.assert(property, { numRuns: RUNS, seed: SEED })
})
