/**
 * The collector gives blocks back once nothing needs them, and never one that something does:
 * random writers, copies, unlinked open files and kills between its steps.
 */
import t from 'tap'
import { O_RDONLY, O_RDWR, O_TRUNC, type HandleId } from '../../src/fs/vfs.ts'
import { BLOCKS_PER_STEP, Collector } from '../../src/replication/collector.ts'
import { sameBytes } from '../suites/vfs/vfs-case.ts'
import { MemoryDrive } from '../support/memory-drive.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { patternBytes, VfsSession } from '../support/vfs-session.ts'

const BLOCK = 128 * 1024
/** More than an operation carries itself. */
const LARGE_ENOUGH = 8192
const STEPS = 60
const SEEDS = 12

function collectorOf(
  drive: MemoryDrive,
  options: { keepSec: number; wasUnclean?: boolean; mayClear?: () => boolean }
): Collector {
  return new Collector({
    replica: drive.replica,
    clock: drive.clock,
    keepSec: () => options.keepSec,
    wasUnclean: options.wasUnclean === true,
    mayClear: options.mayClear ?? (() => true),
    report: (message, cause) => {
      throw new Error(message, { cause })
    }
  })
}

t.test('collect() clears superseded blocks after history.keep and not before', async t => {
  const drive = await MemoryDrive.create()
  const session = new VfsSession(drive.vfs)
  await session.writeFile('f', patternBytes(3 * BLOCK))
  await session.writeFile('f', patternBytes(BLOCK))
  await drive.replica.sync()
  const collector = collectorOf(drive, { keepSec: 60 })
  await collector.collect()
  t.equal(drive.storedBlocks(), 4, 'kept as history')
  drive.clock.advance(61_000)
  await collector.collect()
  t.equal(drive.storedBlocks(), 1, 'only what the file needs')
  sameBytes(t, await session.readFile('f'), patternBytes(BLOCK))
  await collector.close()
  await drive.close()
})

t.test('collect() clears nothing while it may not, and asks before each step', async t => {
  const drive = await MemoryDrive.create()
  const session = new VfsSession(drive.vfs)
  const versions = BLOCKS_PER_STEP + 2
  for (let seed = 0; seed <= versions; seed++)
    await session.writeFile('f', patternBytes(LARGE_ENOUGH, seed))
  await drive.replica.sync()
  drive.clock.advance(1000)
  const answers = [false, true, false, true, true]
  const asked: (boolean | undefined)[] = []
  const mayClear = (): boolean => {
    asked.push(answers[0])
    return answers.shift() === true
  }
  const collector = collectorOf(drive, { keepSec: 0, mayClear })
  await collector.collect()
  t.strictSame([drive.storedBlocks(), asked], [versions + 1, [false]], 'nothing')
  await collector.collect()
  t.strictSame(asked, [false, true, false], 'the round ends with the second step')
  t.equal(drive.storedBlocks(), 3, 'one step')
  await collector.collect()
  t.equal(drive.storedBlocks(), 1, 'the next round goes on')
  sameBytes(t, await session.readFile('f'), patternBytes(LARGE_ENOUGH, versions))
  await collector.close()
  await drive.close()
})

t.test('collect() keeps the blocks of a file that is unlinked and still open', async t => {
  const drive = await MemoryDrive.create()
  const session = new VfsSession(drive.vfs)
  await session.writeFile('f', patternBytes(2 * BLOCK))
  const handle = await session.open('f', O_RDONLY)
  drive.vfs.unlink(session.place('f'))
  drive.clock.advance(5000)
  const collector = collectorOf(drive, { keepSec: 0 })
  await collector.collect()
  sameBytes(t, await session.read(handle, 0, 2 * BLOCK), patternBytes(2 * BLOCK))
  await session.close(handle)
  drive.clock.advance(5000)
  await collector.collect()
  t.equal(drive.storedBlocks(), 0, 'closed: given back')
  await collector.close()
  await drive.close()
})

t.test('a sweep after an unclean stop clears blocks that no operation names', async t => {
  const drive = await MemoryDrive.create()
  const session = new VfsSession(drive.vfs)
  await session.writeFile('f', patternBytes(BLOCK))
  await drive.replica.sync()
  await drive.appendStrayBlock()
  drive.home.kill()
  drive.abandon()
  await drive.open()
  t.equal(drive.storedBlocks(), 2)
  const collector = collectorOf(drive, { keepSec: 3600, wasUnclean: true })
  await collector.collect()
  t.equal(drive.storedBlocks(), 1)
  sameBytes(t, await new VfsSession(drive.vfs).readFile('f'), patternBytes(BLOCK))
  await collector.close()
  await drive.close()
})

/** One writer's random step; `files` is what each file must hold afterwards. */
async function step(
  session: VfsSession,
  random: SeededRandom,
  files: Map<string, Uint8Array>
): Promise<void> {
  const name = `f${random.integer(4)}`
  const bytes = patternBytes(random.integer(3 * BLOCK) + 1, random.integer(250))
  switch (random.integer(3)) {
    case 0:
      await session.writeFile(name, bytes)
      files.set(name, bytes)
      return
    case 1:
      if (files.delete(name)) session.vfs.unlink(session.place(name))
      return
    default:
      await copy(session, files, { from: name, to: `copy${random.integer(3)}` })
  }
}

async function copy(
  session: VfsSession,
  files: Map<string, Uint8Array>,
  names: { from: string; to: string }
): Promise<void> {
  const bytes = files.get(names.from)
  if (bytes === undefined) return
  const from = await session.open(names.from, O_RDONLY)
  const to: HandleId = session.exists(names.to)
    ? await session.open(names.to, O_RDWR | O_TRUNC)
    : session.create(names.to, O_RDWR)
  await session.vfs.copyFileRange(
    { handle: from, offset: 0 },
    { handle: to, offset: 0 },
    bytes.length
  )
  await session.close(from)
  await session.close(to)
  files.set(names.to, bytes)
}

t.test(
  'collect() never takes a live block: random writers beside it, killed in the middle',
  async t => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = new SeededRandom(seed)
      const drive = await MemoryDrive.create()
      const files = new Map<string, Uint8Array>()
      let collector = collectorOf(drive, { keepSec: 0 })
      for (let i = 0; i < STEPS; i++) {
        const collecting = random.integer(3) === 0 ? collector.collect() : undefined
        await step(new VfsSession(drive.vfs), random, files)
        drive.clock.advance(random.integer(3000))
        if (random.integer(10) === 0) {
          await drive.vfs.syncfs()
          const cut = random.integer(2) === 0 ? collector.collect() : undefined
          drive.home.losePower({ kept: random.integer(3) })
          await collecting?.catch(() => undefined)
          await cut?.catch(() => undefined)
          await collector.close()
          drive.abandon()
          await drive.open()
          collector = collectorOf(drive, { keepSec: 0, wasUnclean: true })
        } else await collecting
      }
      const session = new VfsSession(drive.vfs)
      t.same(session.names(''), [...files.keys()].toSorted(), `seed ${seed}: the names`)
      for (const [name, bytes] of files)
        sameBytes(t, await session.readFile(name), bytes, `seed ${seed}: ${name}`)
      await collector.close()
      await drive.close()
    }
  }
)
