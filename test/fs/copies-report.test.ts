/**
 * How a directory is kept is how the weakest of it is kept, however much there is: the work is
 * done in turns, can be given up, and beyond a bound the answer is the drive's.
 */
import t from 'tap'
import { BLOCKS_PER_PART, CopiesReport, PARTS_PER_TICK } from '../../src/fs/copies-report.ts'
import type { BlockPlace } from '../../src/sync/content-index.ts'
import type { CopiesStatus, CustodyView } from '../../src/sync/custody-view.ts'
import { XATTR_REDUNDANCY } from '../../src/sync/effective-redundancy.ts'
import type { Redundancy } from '../../src/sync/redundancy.ts'
import { MemoryDrive } from '../support/memory-drive.ts'
import { bytesOf, patternBytes, VfsSession } from '../support/vfs-session.ts'

const BLOCK = 128 * 1024
const FINE: CopiesStatus = { copies: 9, health: 'ok', lostBytes: 0, holders: ['attic', 'cellar'] }
const OF_DRIVE: CopiesStatus = { copies: 1, health: 'at-risk', lostBytes: 0, holders: [] }

interface Asked {
  readonly blocks: readonly BlockPlace[]
  readonly redundancy: Redundancy
}

/** A drive, and reports of it by what `answer` says. */
async function setUp(answer: (asked: Asked) => CopiesStatus = () => FINE) {
  const drive = await MemoryDrive.create()
  const session = new VfsSession(drive.vfs)
  const asked: Asked[] = []
  let pauses = 0
  const state = { onPause: (): void => undefined }
  const custody: CustodyView = {
    copiesOf: (blocks, redundancy) => {
      asked.push({ blocks: [...blocks], redundancy })
      return answer({ blocks: [...blocks], redundancy })
    },
    copiesOfDrive: () => OF_DRIVE,
    whenDurable: () => Promise.resolve()
  }
  const report = new CopiesReport({
    replica: drive.replica,
    custody,
    pause: () => {
      pauses++
      state.onPause()
      return Promise.resolve()
    }
  })
  t.teardown(() => drive.close())
  return { drive, session, asked, report, state, pauses: () => pauses }
}

t.test('a file of a few blocks is answered in the same tick, by its own level', async t => {
  const { session, drive, report, asked } = await setUp()
  await session.writeFile('f', patternBytes(3 * BLOCK))
  await session.writeFile('empty', '')
  drive.vfs.setxattr(session.ino('f'), XATTR_REDUNDANCY, bytesOf('4/3'), 'set')
  t.strictSame(report.statusOf(session.ino('f')), FINE)
  t.equal(asked[0]?.blocks.length, 3)
  t.strictSame(asked[0]?.redundancy, { copies: 4, floor: 3, sites: 1 })
  t.strictSame(report.statusOf(session.ino('empty')), FINE)
  t.strictSame(asked[1]?.blocks, [], 'what has no blocks has entries')
})

t.test('a directory is as well kept as the weakest of what is below it', async t => {
  const answers: Partial<Record<number, CopiesStatus>> = {
    1: { copies: 3, health: 'repairing', lostBytes: 0, holders: ['attic', 'cellar'] },
    2: { copies: 0, health: 'lost', lostBytes: 7000, holders: [] },
    3: { copies: 4, health: 'at-risk', lostBytes: 0, holders: ['barn', 'cellar'] }
  }
  const { session, drive, report, asked } = await setUp(
    ({ blocks }) => answers[blocks.length] ?? FINE
  )
  session.mkdir('d')
  session.mkdir('d/e')
  session.mkdir('lost')
  await session.writeFile('d/one', patternBytes(BLOCK))
  await session.writeFile('d/e/three', patternBytes(3 * BLOCK))
  drive.vfs.symlink(session.place('d/link'), bytesOf('one'), session.caller)
  for (const name of ['lost/two', 'lost/again'])
    await session.writeFile(name, patternBytes(2 * BLOCK, name.length))
  drive.vfs.link(session.ino('lost/two'), session.place('lost/linked'))
  const worse = { copies: 3, health: 'at-risk', lostBytes: 0, holders: ['cellar'] }
  t.strictSame(report.statusOf(session.ino('d')), worse)
  t.equal(asked.length, 4, 'two directories, two files')
  const lost = { copies: 0, health: 'lost', lostBytes: 14_000, holders: [] }
  t.strictSame(report.statusOf(session.ino('lost')), lost, 'each file once')
  t.strictSame(report.statusOf(session.ino('')), lost)
})

t.test('much is done in turns, in which the tree may change', async t => {
  const { session, drive, report, asked, state, pauses } = await setUp()
  session.mkdir('d')
  const files = 3 * PARTS_PER_TICK
  for (let at = 0; at < files; at++) await session.writeFile(`d/${at}`, 'content')
  t.strictSame(await report.statusOf(session.ino('d')), FINE)
  t.equal(asked.length, files + 1)
  t.equal(pauses(), 3)
  state.onPause = () => {
    drive.vfs.setxattr(session.ino('d'), XATTR_REDUNDANCY, bytesOf('9/9'), 'set')
    state.onPause = () => undefined
  }
  asked.length = 0
  await report.statusOf(session.ino('d'))
  t.strictSame(
    asked.map(({ redundancy }) => redundancy.copies),
    asked.map((_, at) => (at < PARTS_PER_TICK ? 2 : 9)),
    'what changes meanwhile counts from then on'
  )
  state.onPause = () => {
    for (const name of session.names('d')) drive.vfs.unlink(session.place(`d/${name}`))
    state.onPause = () => undefined
  }
  asked.length = 0
  t.strictSame(await report.statusOf(session.ino('d')), FINE)
  t.equal(asked.length, PARTS_PER_TICK, 'what is gone is not asked about')
})

t.test('a large file is asked about in parts, each block once', async t => {
  const { drive, session } = await setUp()
  await session.writeFile('f', 'x')
  const count = PARTS_PER_TICK * BLOCKS_PER_PART + 5
  const many = Array.from({ length: count }, (_, index) => ({ log: 1, index }))
  const asked: (readonly BlockPlace[])[] = []
  const report = new CopiesReport({
    replica: { index: drive.replica.index, blocksOf: () => many },
    custody: {
      copiesOf: blocks => {
        asked.push([...blocks])
        return FINE
      },
      copiesOfDrive: () => OF_DRIVE,
      whenDurable: () => Promise.resolve()
    },
    pause: () => Promise.resolve()
  })
  t.strictSame(await report.statusOf(session.ino('f')), FINE)
  t.strictSame(asked.flat(), many)
  t.ok(asked.every(blocks => blocks.length <= BLOCKS_PER_PART))
})

t.test('beyond the bound the answer is no better than the drive’s', async t => {
  const { session, report, asked } = await setUp()
  session.mkdir('d')
  for (let at = 0; at < 30; at++) await session.writeFile(`d/${at}`, 'content')
  t.strictSame(await report.statusOf(session.ino('d'), undefined, 20), OF_DRIVE)
  t.equal(asked.length, 21)
  t.strictSame(await report.statusOf(session.ino('d'), undefined, 31), FINE)
})

t.test('it can be given up, which only long work asks for', async t => {
  const { session, report, state } = await setUp()
  session.mkdir('d')
  for (let at = 0; at < 3 * PARTS_PER_TICK; at++) await session.writeFile(`d/${at}`, 'content')
  const giveUp = new AbortController()
  let signals = 0
  const signal = () => {
    signals++
    return giveUp.signal
  }
  t.strictSame(report.statusOf(session.ino('d/1'), signal), FINE)
  t.equal(signals, 0)
  state.onPause = () => giveUp.abort()
  const status = report.statusOf(session.ino('d'), signal)
  await t.rejects(Promise.resolve(status), { code: 'INTERRUPTED' })
  t.equal(signals, 1)
  t.throws(() => report.statusOf(12_345), { code: 'MISSING' })
})
