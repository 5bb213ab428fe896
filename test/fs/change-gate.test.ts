/** Changes are let in unless the drive is read-only, the disk is full or nothing can be kept. */
import t from 'tap'
import { ChangeGate } from '../../src/fs/change-gate.ts'
import { RESERVE_BYTES } from '../../src/fs/space-guard.ts'
import { PENDING_BYTES_MAX } from '../../src/sync/committer.ts'
import type { SyncErrorCode } from '../../src/sync/sync-error.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const BLOCK_BYTES = 4096

function gateOf({
  readOnly = false,
  freeBytes = 2 * RESERVE_BYTES,
  failureCode = undefined as SyncErrorCode | undefined,
  pendingBytes = 0
}): ChangeGate {
  const blocks = Math.floor(freeBytes / BLOCK_BYTES)
  return new ChangeGate({
    replica: { failureCode, pendingBytes },
    clock: new VirtualClock(),
    readOnly,
    statfs: () => ({
      ...{ blockBytes: BLOCK_BYTES, blocks, blocksFree: blocks, blocksAvailable: blocks },
      ...{ inodes: 1, inodesFree: 1 }
    })
  })
}

const change = (gate: ChangeGate): string => gate.change('write', 1, () => 'changed')
const removal = (gate: ChangeGate): string => gate.removal('unlink', () => 'removed')

t.test('an open gate', async t => {
  const gate = gateOf({})
  t.equal(change(gate), 'changed')
  t.equal(removal(gate), 'removed')
  t.notOk(gate.isReadOnly)
})

t.test('a read-only drive changes in no way', async t => {
  const gate = gateOf({ readOnly: true })
  t.ok(gate.isReadOnly)
  for (const call of [change, removal]) t.throws(() => call(gate), { code: 'EROFS' })
})

t.test('on a full disk things are only removed', async t => {
  for (const gate of [gateOf({ freeBytes: RESERVE_BYTES }), gateOf({ failureCode: 'NO_SPACE' })]) {
    t.throws(() => change(gate), { code: 'ENOSPC' })
    t.equal(removal(gate), 'removed')
  }
  const gate = gateOf({ freeBytes: RESERVE_BYTES + BLOCK_BYTES })
  t.throws(() => gate.checkSpace(2 * BLOCK_BYTES, 'fallocate'), { code: 'ENOSPC' })
  gate.checkSpace(BLOCK_BYTES, 'fallocate')
})

t.test('a broken disk is written to for as long as memory lasts', async t => {
  t.equal(change(gateOf({ failureCode: 'IO', pendingBytes: PENDING_BYTES_MAX })), 'changed')
  const full = gateOf({ failureCode: 'IO', pendingBytes: PENDING_BYTES_MAX + 1 })
  t.throws(() => change(full), { code: 'EIO' })
  t.equal(removal(full), 'removed')
})
