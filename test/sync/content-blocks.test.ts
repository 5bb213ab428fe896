/**
 * Which blocks are wanted: each once, with the most of it that is used, those of new files first.
 */
import t from 'tap'
import { applyOperation } from '../../src/sync/apply-operation.ts'
import { contentBlocksOf, missingBlocks, REGIONS_PER_STEP } from '../../src/sync/content-blocks.ts'
import { logKey } from '../../src/sync/log.ts'
import type { MergedOperation } from '../../src/sync/merger.ts'
import { ROOT_ID, type BlockPiece, type Name, type Operation } from '../../src/sync/operation.ts'
import { REGION_BYTES } from '../../src/sync/region.ts'
import { filled } from '../support/bytes.ts'
import { NONE_OPEN, openIndex } from '../support/memory-index.ts'

const [LOG, REMOTE, OWN] = ['aa', 'bb', 'cc'].map(digits => logKey(digits.repeat(32))) as [
  ReturnType<typeof logKey>,
  ReturnType<typeof logKey>,
  ReturnType<typeof logKey>
]
const TIME = { sec: 10, nsec: 0 }
const isMissing = (log: string, index: number): boolean => log === REMOTE && index !== 7

function piece(log: typeof LOG, index: number, part: Partial<BlockPiece> = {}): BlockPiece {
  const place = { log, index, hash: filled(32, 0), blockOffset: 0 }
  return { kind: 'block', offset: 0, length: 10, ...place, ...part }
}

function operationsOf(files: readonly (readonly BlockPiece[])[], size = 1000): MergedOperation[] {
  const operations: MergedOperation[] = []
  const add = (operation: Operation) => {
    const id = { log: LOG, index: 0, number: operations.length }
    operations.push({ id, operation })
    return id
  }
  for (const [at, pieces] of files.entries()) {
    const file = add({
      ...{ type: 'create', parent: ROOT_ID, name: `f${String(at)}` as Name, kind: 'file' },
      ...{ mode: 0o644, uid: 0, gid: 0, rdev: 0, target: new Uint8Array(0), time: TIME }
    })
    const ids = { inode: file, through: file, base: file }
    add({ type: 'write', ...ids, pieces, size, time: TIME })
  }
  return operations
}

const FILES = [
  [piece(REMOTE, 1), piece(OWN, 1, { offset: 10 })],
  [
    piece(REMOTE, 7),
    piece(REMOTE, 3, { offset: 10, blockOffset: 20 }),
    piece(REMOTE, 3, { offset: 20 }),
    piece(REMOTE, 1, { offset: 30, blockOffset: 90 })
  ]
]

t.test('contentBlocksOf() gives each missing block that operations name once', async t => {
  t.strictSame(contentBlocksOf(operationsOf(FILES), isMissing), [
    { log: REMOTE, index: 1, bytes: 100 },
    { log: REMOTE, index: 3, bytes: 30 }
  ])
  t.strictSame(contentBlocksOf([], isMissing), [])
})

t.test('missingBlocks() goes through the files, the newest first', async t => {
  const index = await openIndex()
  for (const log of [LOG, REMOTE, OWN]) index.addLog(log)
  const files = [...Array.from({ length: 600 }, (): readonly BlockPiece[] => []), ...FILES]
  for (const { id, operation } of operationsOf(files)) {
    applyOperation(index, id, operation, NONE_OPEN)
  }
  index.settle()
  const steps = [...missingBlocks(index, isMissing)]
  t.ok(steps.length >= files.length, 'each file is a step, also one that misses nothing')
  t.strictSame(steps.flat(), [
    { log: REMOTE, index: 3, bytes: 30 },
    { log: REMOTE, index: 1, bytes: 100 },
    { log: REMOTE, index: 1, bytes: 10 }
  ])
})

t.test('missingBlocks() goes through a large file in steps of bounded size', async t => {
  const index = await openIndex()
  for (const log of [LOG, REMOTE]) index.addLog(log)
  const regions = 3 * REGIONS_PER_STEP
  const file = Array.from({ length: regions }, (_, at) =>
    piece(REMOTE, 10 + at, { offset: at * REGION_BYTES })
  )
  for (const { id, operation } of operationsOf([file], regions * REGION_BYTES)) {
    applyOperation(index, id, operation, NONE_OPEN)
  }
  index.settle()
  const steps = [...missingBlocks(index, isMissing)]
  t.ok(steps.every(blocks => blocks.length <= REGIONS_PER_STEP))
  t.strictSame(
    steps.flat().map(block => block.index),
    file.map(each => each.index)
  )
})
