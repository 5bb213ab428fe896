/**
 * The incremental index equals the oracle after every step of random histories, and again when
 * the drive was closed, killed, cut off from power or rebuilt in the middle. What a crash leaves,
 * the tree made anew from the log and the oracle's tree of the log are one.
 *
 * So it does when it merges the entries of several devices in an order in which they could come,
 * one by one and in batches, with its own operations between; it says of every name that changed
 * that it did. `GROVE_SEEDS=20000` tries that many histories of each kind.
 */
import fc from 'fast-check'
import t from 'tap'
import { entriesOf, mergeHistory, spoiled } from '../support/merge-history.ts'
import { MergingIndex } from '../support/merging-index.ts'
import type { ModelEntry } from '../support/model.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { DriveSubject, withoutNameless } from '../support/drive-subject.ts'
import { vfsHistories, type VfsCommand } from '../support/vfs-command.ts'
import { compareOn } from '../support/vfs-commands.ts'
import type { VirtualClock } from '../support/virtual-clock.ts'

const SEED = 20_261_107
const RUNS = 110
const STEPS = 40

const MERGED_RUNS = Number(process.env['GROVE_SEEDS'] ?? 120)
const BATCH_MAX = 6

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

/** Dice and the length of a history that follow from a seed. */
function drawn(seed: number) {
  return { random: new SeededRandom(seed), deviceCount: 2 + (seed % 3), steps: 8 + (seed % 40) }
}

async function forSeeds(run: (seed: number) => Promise<void>): Promise<void> {
  for (let seed = 1; seed <= MERGED_RUNS; seed++) {
    try {
      await run(seed)
    } catch (cause) {
      throw new Error(`seed ${seed}`, { cause })
    }
  }
}

/** Merges entries in a causal order drawn at random, in batches, with a check after each. */
async function mergeAndCheck(entries: readonly ModelEntry[], random: SeededRandom) {
  const merging = await MergingIndex.create()
  const waiting = [...entries]
  while (waiting.length > 0) {
    const before = merging.names()
    const count = 1 + random.integer(random.integer(4) === 0 ? BATCH_MAX : 1)
    for (let i = 0; i < count && waiting.length > 0; i++) {
      merging.add(merging.take(waiting, random))
    }
    merging.settleAndCheckChanges(before)
    merging.check()
    if (random.integer(8) > 0) continue
    await merging.reopen()
    merging.check()
  }
}

t.test(`entries of several devices in any order: ${MERGED_RUNS} histories`, () =>
  forSeeds(async seed => {
    const options = drawn(seed)
    await mergeAndCheck(entriesOf(mergeHistory(options)), options.random)
  })
)

t.test(`entries that name what is not there: ${MERGED_RUNS} histories`, () =>
  forSeeds(async seed => {
    const options = drawn(seed)
    const entries = spoiled(entriesOf(mergeHistory(options)), options.random)
    await mergeAndCheck(entries, options.random)
  })
)

t.test(`a device that works between merges: ${MERGED_RUNS} histories`, () =>
  forSeeds(async seed => {
    const options = drawn(seed)
    const merging = await MergingIndex.create()
    mergeHistory(options, (device, [own]) => {
      if (device !== own) return
      merging.follow(device, options.random)
      merging.check(device.entries)
    })
  })
)
