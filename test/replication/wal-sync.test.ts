/**
 * Group commit over log files that a test writes itself: which files are synced, how often,
 * and what happens when the disk refuses.
 */
import { appendFileSync } from 'node:fs'
import { appendFile, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { walName, walNumber, WalSync } from '../../src/replication/wal-sync.ts'
import { withDirectory } from '../support/hypercore-home.ts'
import { failSyncs, onNextSync, syncedBytesOf, syncedWal } from '../support/sync-observer.ts'

/** A database that is nothing but log files. */
class Logs {
  readonly folder: string
  readonly root: string
  number = 7
  calls = 0
  flushes = 0

  constructor(root: string) {
    this.root = root
    this.folder = join(root, 'db')
  }

  async currentWalFile(): Promise<{ number: number }> {
    this.calls++
    return { number: this.number }
  }

  async flush(): Promise<void> {
    this.flushes++
  }

  async write(bytes: number): Promise<void> {
    await appendFile(join(this.folder, walName(this.number)), Buffer.alloc(bytes))
  }
}

async function withLogs(run: (logs: Logs, wal: WalSync) => Promise<void>): Promise<void> {
  await withDirectory(async root => {
    const logs = new Logs(root)
    await mkdir(logs.folder)
    await logs.write(10)
    const wal = new WalSync(logs.folder, logs)
    try {
      await run(logs, wal)
    } finally {
      failSyncs()
      await wal.close()
    }
  })
}

t.test('sync() covers what was written before it', async t =>
  withLogs(async (logs, wal) => {
    await wal.sync()
    t.same(syncedWal(logs.root), { number: 7, bytes: 10 })
    await logs.write(5)
    await wal.sync()
    t.same(syncedWal(logs.root), { number: 7, bytes: 15 })
  })
)

t.test('sync() covers every file since the last, also those that are full', async t =>
  withLogs(async (logs, wal) => {
    await wal.sync()
    await logs.write(1)
    for (logs.number = 8; logs.number < 11; logs.number++) await logs.write(logs.number)
    logs.number = 10
    await wal.sync()
    const files = [7, 8, 9, 10].map(number => walName(number))
    t.same(
      files.map(name => syncedBytesOf(join(logs.folder, name))),
      [11, 8, 9, 10]
    )
  })
)

t.test('sync() when the newest file is gone: its contents are elsewhere, and synced', async t =>
  withLogs(async (logs, wal) => {
    await rm(join(logs.folder, walName(7)))
    await wal.sync()
    logs.number = 8
    await logs.write(3)
    await wal.sync()
    t.same(syncedWal(logs.root), { number: 8, bytes: 3 })
  })
)

t.test('sync() asked for by many runs once for all who asked meanwhile', async t =>
  withLogs(async (logs, wal) => {
    const first = wal.sync()
    const others = Array.from({ length: 10 }, () => wal.sync())
    await Promise.all([first, ...others])
    t.equal(logs.calls, 2)
    await wal.sync()
    t.equal(logs.calls, 3)
  })
)

t.test('sync() asked for while one runs does not rest on that one', async t =>
  withLogs(async (logs, wal) => {
    await wal.sync()
    let second: Promise<void> | undefined
    onNextSync(() => {
      appendFileSync(join(logs.folder, walName(7)), Buffer.alloc(4))
      second = wal.sync()
    })
    await wal.sync()
    await second
    t.same(syncedWal(logs.root), { number: 7, bytes: 14 })
  })
)

t.test('sync() that failed is not believed the next time: the database writes all out', async t =>
  withLogs(async (logs, wal) => {
    await wal.sync()
    failSyncs(new Error('the disk is broken'))
    await t.rejects(wal.sync(), /broken/)
    failSyncs()
    await wal.sync()
    t.equal(logs.flushes, 1)
    await logs.write(2)
    await wal.sync()
    t.equal(logs.flushes, 1, 'and then the log is synced again')
    t.same(syncedWal(logs.root), { number: 7, bytes: 12 })
  })
)

t.test('walNumber() knows log files', async t => {
  t.same(['000007.log', '1234567.log', 'LOG', '000007.sst', '7.log.old'].map(walNumber), [
    7,
    1_234_567,
    undefined,
    undefined,
    undefined
  ])
  t.equal(walNumber(walName(12)), 12)
})
