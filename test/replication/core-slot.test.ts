/** What a log on a hypercore does when bytes on the disk were changed behind its back. */
import Corestore from 'corestore'
import HypercoreStorage from 'hypercore-storage'
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { hashBlock } from '../../src/crypto/block-hash.ts'
import { logSigner } from '../../src/replication/core-slot.ts'
import { LogHome } from '../../src/replication/log-home.ts'
import { bytes, rejectsWith } from '../suites/log-suite.ts'
import { SystemClock } from '../../bin/system-clock.ts'
import { cloneStore } from '../support/cut-wal.ts'
import { identityOf, withDirectory } from '../support/hypercore-home.ts'
import { MemoryFabric } from '../support/memory-peer-network.ts'
import { ReplicatedDrive } from '../support/replicated-drive.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { until } from '../support/until.ts'

/** Bytes that occur once on the disk: nothing in the store is compressed. */
function entry(index: number, size: number): Buffer {
  const seed = createHash('sha256')
    .update(`entry ${String(index)}`)
    .digest()
  return Buffer.concat(Array.from({ length: Math.ceil(size / seed.length) }, () => seed))
}

/** Flips one bit of the stored copy of these bytes. */
async function flipBit(directory: string, needle: Buffer): Promise<string> {
  const folder = join(directory, 'db')
  for (const name of await readdir(folder)) {
    const position = (await readFile(join(folder, name))).indexOf(needle)
    if (position < 0) continue
    const file = await open(join(folder, name), 'r+')
    const byte = Buffer.alloc(1)
    await file.read(byte, 0, 1, position + 20)
    byte.writeUInt8(byte.readUInt8(0) ^ 1)
    await file.write(byte, 0, 1, position + 20)
    await file.close()
    return name
  }
  throw new Error('not on the disk')
}

/** A store of 20 blocks of 20 KB and 200 entries of 320 bytes, all in files. */
async function fill(directory: string): Promise<void> {
  const home = await LogHome.open({ directory })
  const content = await home.openBlockStore(identityOf('content'))
  const operations = await home.openLog(identityOf('operations'))
  for (let index = 0; index < 20; index++) await content.append([entry(index, 20_000)], index)
  const small = Array.from({ length: 200 }, (_, index) => entry(1000 + index, 320))
  await operations.append(small, 0)
  await content.compact()
  await home.close()
}

t.test(
  'a damaged block is DAMAGED; every other block and entry reads, and all logs go on',
  async t =>
    withDirectory(async directory => {
      await fill(directory)
      t.match(await flipBit(directory, entry(3, 20_000)), /\.blob$/)
      const home = await LogHome.open({ directory })
      try {
        const content = await home.openBlockStore(identityOf('content'))
        const operations = await home.openLog(identityOf('operations'))
        for (let index = 0; index < 20; index++)
          if (index !== 3) assert.ok(entry(index, 20_000).equals(await content.get(index)))
        await rejectsWith(t, 'DAMAGED', () => content.get(3), 'the block')
        t.ok(await content.has(3), 'it is there, if damaged')
        t.ok(entry(1050, 320).equals(await operations.get(50)))
        await content.clear({ from: 0, to: 2 })
        await content.compact()
        t.equal(await content.append([bytes('new')], 20), 21)
        t.equal(await operations.append([bytes('new')], 200), 201)
        await rejectsWith(t, 'DAMAGED', () => content.get(3), 'the block after a compaction')
        await content.clear({ from: 3, to: 4 })
        await rejectsWith(t, 'MISSING', () => content.get(3), 'the block when it was given up')
      } finally {
        await home.close()
      }
    })
)

t.test('a damaged entry is DAMAGED with its neighbours; the others read', async t =>
  withDirectory(async directory => {
    await fill(directory)
    t.match(await flipBit(directory, entry(1050, 320)), /\.sst$/)
    const home = await LogHome.open({ directory })
    try {
      const operations = await home.openLog(identityOf('operations'))
      await rejectsWith(t, 'DAMAGED', () => operations.get(50), 'the entry')
      const reads = Array.from({ length: 200 }, (_, index) => operations.get(index))
      const failed = (await Promise.allSettled(reads)).filter(read => read.status === 'rejected')
      t.ok(failed.length <= 40, `a page of ${String(failed.length)} entries is lost`)
      t.equal(await operations.append([bytes('new')], 200), 201)
    } finally {
      await home.close()
    }
  })
)

t.test('a log that lost its own hashes is DAMAGED: an append would sign another history', async t =>
  withDirectory(async directory => {
    await fill(directory)
    const { manifest } = logSigner(identityOf('operations'))
    const store = new Corestore(new HypercoreStorage(directory))
    const core = store.get({ manifest, allowFork: false })
    await core.ready()
    const batch = core.core.state.storage.write()
    batch.deleteTreeNode(127)
    await batch.flush()
    await store.close()
    const home = await LogHome.open({ directory })
    try {
      const open = (name: string) => home.openLog(identityOf(name))
      await rejectsWith(t, 'DAMAGED', () => open('operations'), 'the log')
      t.equal((await open('content')).length, 20, 'the others open')
    } finally {
      await home.close()
    }
  })
)

t.test('logSigner() gives another log for another seed or other user data', async t => {
  const { seed, userData } = identityOf('a')
  const { key } = logSigner({ seed, userData })
  t.equal(logSigner(identityOf('a')).key, key)
  t.not(logSigner({ seed: identityOf('b').seed, userData }).key, key)
  t.not(logSigner({ seed, userData: identityOf('b').userData }).key, key)
  t.equal(
    key,
    '5328dc6686f64f777db5903f9a23cdedf77dca6612f0c02440565889825240c3',
    'the key of a log is format: it must never change for the same identity'
  )
  t.throws(() => logSigner({ seed: seed.subarray(1), userData }), RangeError)
  t.throws(() => logSigner({ seed, userData: userData.subarray(1) }), RangeError)
})

t.test('a block whose hash is known gives the tree hash of one whose hash is not', async t => {
  const block = new Uint8Array(5000).fill(9)
  const [known, unknown] = [block.slice(), block.slice()]
  hashBlock(known)
  const hashes: Uint8Array[] = []
  for (const appended of [known, unknown]) {
    await withDirectory(async directory => {
      const home = await LogHome.open({ directory })
      const log = await home.openLog(identityOf('content'))
      await log.append([appended], 0)
      hashes.push(await log.treeHash(1))
      await home.close()
    })
  }
  t.equal(hashes.length, 2)
  t.same(hashes[0], hashes[1])
})

t.test('an append that a peer outruns in the middle appends nothing and is DIVERGED', async t => {
  const drive = await ReplicatedDrive.make()
  const deviceKeys = drive.newKeys()
  drive.state('attest', deviceKeys, 'a')
  const [whole, b] = [await drive.device('a', { deviceKeys }), await drive.device('b')]
  await whole.contentLog.append([bytes('one'), bytes('two')], 0)
  const directory = `${whole.directory}-copy`
  await cloneStore(whole.directory, directory)
  await whole.contentLog.append([bytes('three')], 2)
  const fabric = new MemoryFabric({ clock: new SystemClock(), random: new SeededRandom(1) })
  whole.connect(fabric.network(deviceKeys.network))
  b.connect(fabric.network(b.options.deviceKeys.network))
  const log = whole.contentLog.key
  await until('three blocks', () => b.logHome.replicated(log)?.length === 3)
  await b.pairOf(whole)?.contentLog.fetch(2, { deadlineMs: 10_000 })
  await whole.close()

  const late = await drive.device('a', { deviceKeys, directory })
  const { guard } = late.logHome
  const admit = guard.admit.bind(guard)
  let isAppending = false
  guard.admit = async size => {
    if (size !== OWN_BYTES) return admit(size)
    // The length was checked; what the peer knows comes before the core takes its lock.
    isAppending = true
    await until('the tail', () => late.contentLog.length === 3)
  }
  const appending = rejectsWith(
    t,
    'DIVERGED',
    () => late.contentLog.append([new Uint8Array(OWN_BYTES)], 2),
    'outrun'
  )
  await until('the check', () => isAppending)
  late.connect(fabric.network(deviceKeys.network))
  await appending
  t.equal(late.contentLog.length, 3, 'the log of the peer, and nothing of ours')
  t.equal(late.events.filter(event => event === 'outrun').length, 1)
  await rejectsWith(t, 'DIVERGED', () => late.contentLog.append([bytes('x')], 3), 'and for good')
  await late.close()
  await b.close()
})

/** Tells the block that this device appends from whatever comes of a peer. */
const OWN_BYTES = 12_345
