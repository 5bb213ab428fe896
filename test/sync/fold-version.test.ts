/** An older version's bytes are where the oracle has them. */
import assert from 'node:assert/strict'
import t from 'tap'
import { logKey } from '../../src/sync/log.ts'
import type { VersionRun } from '../../src/sync/fold-version.ts'
import { entriesOf, mergeHistory } from '../support/merge-history.ts'
import { MergingIndex } from '../support/merging-index.ts'
import { ModelContent, runsOf, type ModelRun } from '../support/model-content.ts'
import { compareOperations, deliver, keyOf } from '../support/model-entry.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const RUNS = 40

/** One entry for each byte, so that runs cut at other places are equal. */
function bytesOf(runs: readonly (ModelRun | VersionRun)[], logOf: (log: never) => string) {
  const bytes = new Map<number, string>()
  for (const run of runs) {
    const length = run.kind === 'inline' ? run.bytes.length : run.length
    for (let at = 0; at < length; at++) {
      const what =
        run.kind === 'inline'
          ? `inline ${run.bytes[at]}`
          : `${logOf(run.log as never)}:${run.index}+${run.blockOffset + at}`
      bytes.set(run.offset + at, what)
    }
  }
  return bytes
}

t.test(`of every version of every file (${RUNS} histories)`, async t => {
  let compared = 0
  for (let seed = 1; seed <= RUNS; seed++) {
    const random = new SeededRandom(seed)
    const entries = entriesOf(mergeHistory({ random, deviceCount: 3, steps: 25 }))
    const merging = await MergingIndex.create()
    const waiting = [...entries]
    while (waiting.length > 0) merging.add(merging.take(waiting, random))
    const { index } = merging
    index.settle()
    const content = new ModelContent(deliver(entries).toSorted(compareOperations))
    for (const file of content.files) {
      const ino = index.find(file.first.made.id)
      if (ino === undefined) continue
      const versions = index.versions(ino)
      assert.deepEqual(
        versions.slice(-file.versions.length).map(({ id }) => keyOf(id)),
        file.versions.map(({ made }) => made.key)
      )
      for (const version of file.versions) {
        const got = bytesOf(index.runsOf(ino, version.made.id), log => index.logs.keyOf(log))
        const wanted = bytesOf(runsOf(version), log => logKey(log))
        assert.deepEqual(got, wanted)
        compared++
      }
    }
  }
  t.ok(compared > 4 * RUNS, `${compared} versions`)
})
