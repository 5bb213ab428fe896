/** The store of a device's logs: who may open it, what it keeps, what it never writes down. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, readdir, readFile, rename, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import Corestore from 'corestore'
import t from 'tap'
import { logSigner } from '../../src/replication/core-slot.ts'
import { CLOSE_STEP_MS_MAX, LogHome } from '../../src/replication/log-home.ts'
import {
  ReplicationError,
  type ReplicationErrorCode
} from '../../src/replication/replication-error.ts'
import { bytes, rejectsWith, text } from '../suites/log-suite.ts'
import { batchEnds } from '../support/cut-wal.ts'
import { identityOf, withDirectory } from '../support/hypercore-home.ts'
import { runChild } from '../support/run-child.ts'
import { until } from '../support/until.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const child = new URL('log-home-child.ts', import.meta.url)

async function withHome<T>(directory: string, run: (home: LogHome) => Promise<T>): Promise<T> {
  const home = await LogHome.open({ directory })
  try {
    return await run(home)
  } finally {
    await home.close()
  }
}

const refusedAs = async (code: ReplicationErrorCode, call: () => Promise<unknown>) =>
  assert.rejects(call, (error: unknown) => {
    assert.ok(error instanceof ReplicationError, String(error))
    assert.equal(error.code, code)
    return true
  })

t.test('open() of a home that is open is LOCKED, and leaves it alone', async t =>
  withDirectory(async directory =>
    withHome(directory, async home => {
      await refusedAs('LOCKED', () => LogHome.open({ directory }))
      await refusedAs('LOCKED', () => LogHome.open({ directory, allowMoved: true }))
      const { stdout } = await runChild(child, [directory]).ended
      t.equal(stdout, 'refused LOCKED\n', 'also for another process')
      const log = await home.openLog(identityOf('a'))
      t.equal(await log.append([bytes('one')], 0), 1)
    })
  )
)

t.test('open() after kill -9 finds everything appended, content before operations', async t =>
  withDirectory(async directory => {
    const writer = runChild(child, [directory])
    await writer.line('appended 50')
    writer.process.kill('SIGKILL')
    const { stdout, code } = await writer.ended
    t.equal(code, null, 'it was killed, and did not end by itself')
    const acknowledged = Number(stdout.trim().split('\n').at(-1)?.split(' ')[1])
    await withHome(directory, async home => {
      const content = await home.openBlockStore(identityOf('content'))
      const operations = await home.openLog(identityOf('operations'))
      t.ok(operations.length >= acknowledged)
      for (let index = 0; index < operations.length; index++) {
        const entry = JSON.parse(text(await operations.get(index))) as { content: number }
        assert.equal(entry.content, index + 1)
        assert.equal((await content.get(index))[0], index & 255)
      }
      t.equal(await operations.append([bytes('next')], operations.length), operations.length)
    })
  })
)

t.test('a home is frugal in one run and not in another', async t =>
  withDirectory(async directory => {
    const blocks = Array.from({ length: 300 }, (_, at) => Buffer.alloc(5000, at))
    for (const isFrugal of [true, false, true]) {
      const home = await LogHome.open({ directory, isFrugal, writeBufferBytes: 1 << 20 })
      const log = await home.openBlockStore(identityOf('content'))
      if (log.length === 0) await log.append(blocks, 0)
      for (const index of [0, 150, 299])
        t.same(Buffer.from(await log.get(index)), blocks[index], String(isFrugal))
      await home.close()
    }
  })
)

t.test('open() of a copied home is MOVED, unless that is allowed', async t =>
  withDirectory(async root => {
    const [first, copy] = [join(root, 'first'), join(root, 'copy')]
    await withHome(first, async home =>
      (await home.openLog(identityOf('a'))).append([bytes('x')], 0)
    )
    await cp(first, copy, { recursive: true })
    await refusedAs('MOVED', () => LogHome.open({ directory: copy }))
    const home = await LogHome.open({ directory: copy, allowMoved: true })
    t.equal((await home.openLog(identityOf('a'))).length, 1)
    await home.close()
    await withHome(copy, async () => t.pass('and from then on it is at home there'))
  })
)

t.test('open() of a renamed home goes on', async t =>
  withDirectory(async root => {
    const [first, moved] = [join(root, 'first'), join(root, 'moved')]
    await withHome(first, async () => undefined)
    await rename(first, moved)
    await withHome(moved, async () => t.pass())
  })
)

t.test('open() mends a home whose making was cut short', async t =>
  withDirectory(async directory => {
    await writeFile(join(directory, 'CORESTORE'), '')
    await withHome(directory, async () => t.pass('an empty device file and no database'))
    await truncate(join(directory, 'CORESTORE'), 0)
    await refusedAs('MOVED', () => LogHome.open({ directory }))
  })
)

t.test('open() refuses a directory with files of something else, and leaves them', async t =>
  withDirectory(async directory => {
    await writeFile(join(directory, 'precious'), 'words')
    await refusedAs('IO', () => LogHome.open({ directory }))
    t.same(await readdir(directory), ['precious'])
  })
)

t.test('open() of a database that cannot be read is DAMAGED, and deletes nothing', async t =>
  withDirectory(async directory => {
    await withHome(directory, async home =>
      (await home.openLog(identityOf('a'))).append([bytes('x')], 0)
    )
    const folder = join(directory, 'db')
    const before = await readdir(folder)
    const manifest = before.find(name => name.startsWith('MANIFEST'))
    await truncate(join(folder, manifest ?? 'none'), 10)
    await refusedAs('DAMAGED', () => LogHome.open({ directory }))
    const logs = (names: string[]) => names.filter(name => name.endsWith('.log'))
    t.same(logs(await readdir(folder)), logs(before))
    await refusedAs('DAMAGED', () => LogHome.open({ directory }))
  })
)

t.test('openLog() gives one log for one identity, whoever asks', async t =>
  withDirectory(async directory =>
    withHome(directory, async home => {
      const { seed, userData } = identityOf('a')
      const [one, other] = await Promise.all([
        home.openLog({ seed, userData }),
        home.openLog({ seed, userData })
      ])
      await Promise.all([one.append([bytes('x')], 0), other.append([bytes('y')], 1)])
      t.equal(text(await one.get(1)), 'y')
      t.equal(one.key, logSigner({ seed, userData }).key)
      const another = await home.openLog({ seed, userData: identityOf('b').userData })
      t.not(another.key, one.key, 'another epoch is another log')
      t.equal(another.length, 0)
      await t.rejects(home.openLog({ seed: seed.subarray(1), userData }), RangeError)
    })
  )
)

t.test('openOwnBlocksElsewhere() is the same content log, read as that of another', async t =>
  withDirectory(async directory =>
    withHome(directory, async home => {
      const { seed, userData } = identityOf('a')
      const own = await home.openBlockStore({ seed, userData })
      const elsewhere = await home.openOwnBlocksElsewhere({ seed, userData })
      t.equal(elsewhere.key, own.key)
      t.notOk(elsewhere.has(0))
      await own.append([bytes('x')], 0)
      t.ok(elsewhere.has(0))
      t.equal(text(await elsewhere.get(0)), 'x')
      await own.clear({ from: 0, to: 1 })
      t.notOk(elsewhere.has(0))
      const nobody = elsewhere.fetch(0, { deadlineMs: 1 })
      await t.rejects(nobody, { code: 'UNREACHABLE' })
    })
  )
)

t.test('nothing in the home can sign for a log', async t =>
  withDirectory(async directory => {
    const identity = identityOf('secret')
    const { secretKey } = logSigner(identity).keyPair
    const secrets = [Buffer.from(identity.seed), Buffer.from(secretKey)]
    await withHome(directory, async home => {
      const log = await home.openLog(identity)
      for (let index = 0; index < 10; index++) await log.append([bytes('entry to look for')], index)
      await log.sync()
    })
    const names = await readdir(directory, { recursive: true, withFileTypes: true })
    const files = names
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name))
    const contents = await Promise.all(files.map(file => readFile(file)))
    t.ok(
      contents.some(content => content.includes('entry to look for')),
      'the search finds what is there'
    )
    for (const secret of secrets)
      t.notOk(contents.some(content => content.includes(secret.subarray(0, 16))))
  })
)

t.test('sync() and openLog() after close() are CLOSED; close() is idempotent', async t =>
  withDirectory(async directory => {
    const home = await LogHome.open({ directory })
    const log = await home.openLog(identityOf('a'))
    await log.append([bytes('x')], 0)
    const syncs = [home.sync(), home.sync(), home.sync()]
    await Promise.all([home.close(), home.close()])
    await Promise.all(syncs)
    await rejectsWith(t, 'CLOSED', () => home.sync(), 'sync')
    await rejectsWith(t, 'CLOSED', () => home.openLog(identityOf('b')), 'openLog')
    await rejectsWith(t, 'CLOSED', () => log.append([bytes('y')], 1), 'append')
    await rejectsWith(t, 'CLOSED', () => log.get(0), 'get')
  })
)

t.test('close() ends although a step of it never does, and says so', async t =>
  withDirectory(async directory => {
    const clock = new VirtualClock()
    const home = await LogHome.open({ directory, clock })
    await (await home.openLog(identityOf('a'))).append([bytes('x')], 0)
    const { prototype } = Corestore
    const stuck: Corestore[] = []
    prototype.close = function never(this: Corestore) {
      stuck.push(this)
      return new Promise<void>(() => undefined)
    }
    t.teardown(() => Reflect.deleteProperty(prototype, 'close'))
    const closing = refusedAs('IO', () => home.close())
    await until('the step that hangs', () => stuck.length > 0)
    clock.advance(CLOSE_STEP_MS_MAX)
    await closing
    await refusedAs('IO', () => home.close())
    t.equal(clock.pendingTimers, 0)
    t.ok(Reflect.deleteProperty(prototype, 'close'), 'the inherited one is back')
    await stuck[0]?.close()
    const again = await LogHome.open({ directory, clock })
    t.equal((await again.openLog(identityOf('a'))).length, 1, 'nothing is lost')
    await again.close()
    t.equal(clock.pendingTimers, 0)
  })
)

t.test('close() leaves nothing to the write-ahead log', async t =>
  withDirectory(async directory => {
    const folder = join(directory, 'db')
    const unflushed = async (): Promise<number> => {
      const logs = (await readdir(folder)).filter(name => name.endsWith('.log'))
      const files = await Promise.all(logs.map(name => readFile(join(folder, name))))
      return files.flatMap(batchEnds).length
    }
    const home = await LogHome.open({ directory })
    await (await home.openLog(identityOf('a'))).append([bytes('x')], 0)
    t.ok((await unflushed()) > 0)
    await home.close()
    t.equal(await unflushed(), 0)
    await withHome(directory, async again =>
      t.equal((await again.openLog(identityOf('a'))).length, 1)
    )
  })
)

t.test('bytesOnDisk() is what du says', async t =>
  withDirectory(async directory =>
    withHome(directory, async home => {
      const blocks = await home.openBlockStore(identityOf('content'))
      await blocks.append([Buffer.alloc(131_072, 1)], 0)
      const { stdout } = await promisify(execFile)('du', ['-B1', '-s', join(directory, 'db')])
      const difference = Number.parseInt(stdout, 10) - (await home.bytesOnDisk())
      t.ok(difference >= 0 && difference <= 65_536, `all but the folder: ${String(difference)}`)
    })
  )
)
