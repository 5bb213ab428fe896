/**
 * A drive composed of the real parts: it goes on where it was, starts new logs exactly when its
 * tail may be lost or copied, and makes a lost or damaged index anew.
 */
import { cp, readFile, readdir, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { DaemonLog } from '../../bin/daemon-log.ts'
import { Home } from '../../bin/home.ts'
import { makeNewDrive } from '../../bin/new-drive.ts'
import { openDrive, recordNewDrive } from '../../bin/open-drive.ts'
import type { VerifyEvent } from '../../bin/served-drive.ts'
import { SystemClock } from '../../bin/system-clock.ts'
import { systemRandom } from '../../bin/system-random.ts'
import { ROOT_INODE, S_IFDIR } from '../../src/fs/vfs.ts'
import { LmdbKeyValueStore } from '../../src/sync/lmdb-key-value-store.ts'
import type { Name } from '../../src/sync/operation.ts'
import { temporaryFolder } from './temporary-folder.ts'

async function setUp(t: Test) {
  const folder = await temporaryFolder(t)
  const home = await Home.locate({ GROVE_HOME: join(folder, 'home') })
  await home.prepare()
  const made = await makeNewDrive({
    deviceName: 'desk',
    owner: { uid: 1000, gid: 100 },
    random: systemRandom,
    clock: new SystemClock()
  })
  const log = new DaemonLog(join(folder, 'log'))
  t.teardown(() => log.close())
  const options = { home, keys: made.content, log, onProgress: () => undefined }
  await recordNewDrive(options, made.firstOperations)
  return { folder, home, options, made }
}

type Options = Parameters<typeof openDrive>[0]

/** Opens the drive, makes directories in it, and closes it. */
async function makeDirectories(options: Options, names: readonly string[]): Promise<void> {
  const drive = await openDrive(options)
  const files = await drive.openVfs({ readOnly: false })
  for (const name of names)
    files.vfs.mkdir({ parent: ROOT_INODE, name: name as Name }, 0o755, { uid: 0, gid: 0 })
  await files.close()
  await drive.close()
}

/** Opens the drive and lists its root; with the logs it has then. */
async function look(options: Options) {
  const drive = await openDrive(options)
  const files = await drive.openVfs({ readOnly: true })
  const { vfs } = files
  const names: string[] = []
  const handle = vfs.opendir(ROOT_INODE)
  vfs.readdir(handle, 0, ({ name }) => names.push(name) > 0)
  vfs.releasedir(handle)
  await files.close()
  const { logs } = await drive.status()
  await drive.close()
  return {
    names: names.filter(name => !name.startsWith('.')).sort(),
    epochs: logs.length / 2,
    entries: logs.map(log => log.length),
    keys: logs.map(log => log.key)
  }
}

/** Changes what the home remembers of its last run. */
async function changeMark(home: Home, change: Readonly<Record<string, unknown>>): Promise<void> {
  const path = join(home.directory, 'last-run.json')
  const mark = JSON.parse(await readFile(path, 'utf8')) as object
  await writeFile(path, JSON.stringify({ ...mark, ...change }))
}

/** Changes every row of an index, so that none authenticates. */
async function forgeRows(directory: string): Promise<void> {
  const store = await LmdbKeyValueStore.open({ directory })
  const rows = [...store.range({ from: new Uint8Array(1), to: new Uint8Array(8).fill(255) })]
  const forged = rows.map(([key, value]) => {
    const bytes = Uint8Array.from(value)
    bytes[bytes.length - 1] = ~(bytes.at(-1) ?? 0)
    return [Uint8Array.from(key), bytes] as const
  })
  await store.commit(forged)
  await store.close()
}

t.test('a new drive has one epoch with its statements and is reopened in it', async t => {
  const { options, made } = await setUp(t)
  const first = await look(options)
  t.equal(first.epochs, 1)
  t.strictSame(first.entries, [1, 0], 'looking writes nothing')
  await makeDirectories(options, ['a', 'b'])
  const second = await look(options)
  t.strictSame(second.names, ['a', 'b'])
  t.strictSame(second.keys, first.keys)
  const drive = await openDrive(options)
  const files = await drive.openVfs({ readOnly: false })
  t.match(files.vfs.getattr(ROOT_INODE), { uid: 1000, gid: 100, mode: S_IFDIR | 0o755 })
  await files.close()
  t.match(await drive.status(), {
    drive: Buffer.from(made.content.drive).toString('hex'),
    device: { name: 'desk' },
    damagedEntries: 0
  })
  await drive.close()
  await drive.close()
})

t.test('a statement that is none, and a log says it is, harms nobody', async t => {
  const { options } = await setUp(t)
  const drive = await openDrive(options)
  drive.record([{ type: 'statement', bytes: Uint8Array.of(1, 2, 3) }])
  await drive.close()
  t.same((await look(options)).names, [])
})

t.test('a kill keeps the epoch, a lost power starts one, an unused one is not kept', async t => {
  const { options, home } = await setUp(t)
  await makeDirectories(options, ['a'])
  await changeMark(home, { clean: false })
  t.equal((await look(options)).epochs, 1, 'unclean in the same boot')
  await changeMark(home, { clean: false, bootId: 'another boot' })
  const after = await look(options)
  t.equal(after.epochs, 2)
  t.strictSame(after.names, ['a'])
  await changeMark(home, { clean: true, bootId: 'another boot' })
  t.strictSame((await look(options)).keys, after.keys, 'clean in another boot')
  await makeDirectories(options, ['b'])
  t.strictSame((await look(options)).names, ['a', 'b'], 'both epochs are one tree')
})

t.test('a lost mark starts an epoch', async t => {
  const { options, home } = await setUp(t)
  await makeDirectories(options, ['a'])
  await rm(join(home.directory, 'last-run.json'))
  const { epochs, names } = await look(options)
  t.equal(epochs, 2)
  t.strictSame(names, ['a'])
})

t.test('a copied home writes other logs than the original', async t => {
  const { options, home, folder } = await setUp(t)
  await makeDirectories(options, ['a'])
  const original = await look(options)
  const copies = []
  for (const name of ['copy1', 'copy2']) {
    await cp(home.directory, join(folder, name), { recursive: true })
    const copy = await Home.locate({ GROVE_HOME: join(folder, name) })
    copies.push(await look({ ...options, home: copy }))
  }
  for (const copy of copies) {
    t.strictSame(copy.names, ['a'])
    t.equal(copy.epochs, 2)
    t.strictSame(copy.keys.slice(0, 2), original.keys)
  }
  t.not(copies[0]?.keys[2], copies[1]?.keys[2], 'two copies do not meet in one log')
  t.strictSame((await look(options)).keys, original.keys, 'the original goes on')
})

t.test('a lost or damaged index is made anew', async t => {
  const { options, home, folder } = await setUp(t)
  await makeDirectories(options, ['a', 'b', 'c'])
  const { names } = await look(options)
  await rm(home.indexDirectory, { recursive: true })
  t.strictSame((await look(options)).names, names, 'lost')
  for (const name of await readdir(home.indexDirectory))
    await truncate(join(home.indexDirectory, name), 100)
  // As after an end that was not clean: nothing says what the index was.
  await rm(home.indexSealFile)
  t.strictSame((await look(options)).names, names, 'cut')
  t.match(await readFile(join(folder, 'log'), 'utf8'), /index is damaged and made anew/)
  t.match(await readFile(join(folder, 'log'), 'utf8'), /index is not as it was left/)
  await forgeRows(home.indexDirectory)
  await rm(home.indexSealFile)
  t.strictSame((await look(options)).names, names, 'rows forged')
  t.strictSame((await look({ ...options, rebuildIndex: true })).names, names, 'asked for')
})

t.test('logs that lost entries the index knew are not gone on in, and it is said', async t => {
  const { options, home, folder } = await setUp(t)
  await makeDirectories(options, ['a', 'b'])
  await cp(home.logsDirectory, join(folder, 'older'), { recursive: true })
  const mark = await readFile(join(home.directory, 'last-run.json'))
  await makeDirectories(options, ['c'])
  const before = JSON.parse(await readFile(home.epochsFile, 'utf8')) as { epochs: unknown[] }
  // The store of before, in the place of the newer one: its file of the device must stay.
  await rm(join(home.logsDirectory, 'db'), { recursive: true })
  await cp(join(folder, 'older', 'db'), join(home.logsDirectory, 'db'), { recursive: true })
  await writeFile(join(home.directory, 'last-run.json'), mark)
  const { names } = await look(options)
  t.strictSame(names, ['a', 'b'])
  const after = JSON.parse(await readFile(home.epochsFile, 'utf8')) as { epochs: unknown[] }
  t.equal(after.epochs.length, before.epochs.length + 1, 'a new epoch')
  t.match(await readFile(join(folder, 'log'), 'utf8'), /lost entries that the index knew/)
})

t.test('an index whose opening ended the process is not opened again', async t => {
  const { options, home, folder } = await setUp(t)
  await makeDirectories(options, ['a', 'b', 'c'])
  const data = join(home.indexDirectory, 'data.mdb')
  // lmdb would follow these pages out of its file, which is a signal and no error.
  const bytes = await readFile(data)
  await writeFile(
    data,
    bytes.map((byte, at) => (at >= 8192 ? byte ^ 0x55 : byte))
  )
  await writeFile(home.indexMarkFile, '')
  t.strictSame((await look(options)).names, ['a', 'b', 'c'])
  t.match(await readFile(join(folder, 'log'), 'utf8'), /ended while it opened the index/)
  t.notOk((await readdir(home.directory)).includes('index-opening'))
})

t.test('a failed start leaves the mark of a clean end', async t => {
  const { options, home } = await setUp(t)
  await makeDirectories(options, ['a'])
  const index = home.indexDirectory
  await rename(index, `${index}.away`)
  await writeFile(index, 'no folder')
  await t.rejects(openDrive(options))
  const mark = await readFile(join(home.directory, 'last-run.json'), 'utf8')
  t.match(JSON.parse(mark), { clean: true })
  await rm(index)
  await rename(`${index}.away`, index)
  const { names, epochs } = await look(options)
  t.strictSame(names, ['a'])
  t.equal(epochs, 1)
})

t.test(
  'verify() tells progress and finds nothing wrong; a second process is locked out',
  async t => {
    const { options } = await setUp(t)
    await makeDirectories(options, ['a'])
    const drive = await openDrive(options)
    const events: VerifyEvent[] = []
    for await (const event of drive.verify(new AbortController().signal)) events.push(event)
    t.ok(events.some(event => event.kind === 'progress'))
    t.notOk(events.some(event => event.kind === 'damage'))
    for await (const event of drive.verify(new AbortController().signal)) if (event) break
    await t.rejects(openDrive(options), { code: 'LOCKED' })
    await drive.close()
  }
)

t.test('recordNewDrive() clears what an unfinished one left, but never a finished one', async t => {
  const { options, home, made } = await setUp(t)
  await makeDirectories(options, ['left over'])
  await recordNewDrive(options, made.firstOperations)
  t.strictSame((await look(options)).names, [])
  await home.createKeyFile(Buffer.from('key'))
  await t.rejects(recordNewDrive(options, made.firstOperations), { code: 'ALREADY_INITIALISED' })
})

t.test('a drive without a network says so whenever it is asked about copies', async t => {
  const { options } = await setUp(t)
  const drive = await openDrive(options)
  const { signal } = new AbortController()
  const requests: readonly (() => Promise<unknown>)[] = [
    () => drive.invite({ minutes: 1 }),
    () => drive.holders(),
    () => drive.addHolder({ code: 'y' }),
    () => drive.redundancy([], '3'),
    () => drive.explain([]),
    async () => {
      for await (const line of drive.removeHolder({ holder: 'a', force: true }, signal))
        t.fail(line.kind)
    }
  ]
  for (const asked of requests)
    await t.rejects(asked, { code: 'FAILED', message: /the network is off/ })
  t.notOk('survival' in (await drive.status()))
  await drive.close()
})
