/** What no log takes: the values at and beyond each bound. */
import t from 'tap'
import { checkEntries, checkIndex, checkRange } from '../../src/replication/log-arguments.ts'
import { ENTRY_BYTES_MAX } from '../../src/sync/log.ts'

t.test('checkEntries() takes 1 to ENTRY_BYTES_MAX bytes', async t => {
  const sized = (size: number): Uint8Array => new Uint8Array(size)
  checkEntries([sized(1), sized(ENTRY_BYTES_MAX)])
  for (const entries of [[], [sized(0)], [sized(1), sized(ENTRY_BYTES_MAX + 1)]])
    t.throws(() => checkEntries(entries), RangeError)
})

t.test('checkIndex() takes whole numbers from 0', async t => {
  checkIndex(0)
  checkIndex(Number.MAX_SAFE_INTEGER)
  for (const index of [-1, 0.5, Number.NaN, Number.MAX_SAFE_INTEGER + 1])
    t.throws(() => checkIndex(index), RangeError)
})

t.test('checkRange() takes runs of the log', async t => {
  checkRange({ from: 0, to: 0 }, 0)
  checkRange({ from: 1, to: 3 }, 3)
  for (const range of [
    { from: 2, to: 1 },
    { from: 0, to: 4 },
    { from: -1, to: 1 },
    { from: 0.5, to: 1 }
  ])
    t.throws(() => checkRange(range, 3), RangeError)
})
