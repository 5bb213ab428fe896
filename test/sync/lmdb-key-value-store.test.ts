/** The key-value store on lmdb: the suite, and what only a file on disk can suffer. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Change } from '../../src/sync/key-value-store.ts'
import { LmdbKeyValueStore } from '../../src/sync/lmdb-key-value-store.ts'
import { keyValueStoreSuite } from '../suites/key-value-store-suite.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const WRITER = fileURLToPath(new URL('../support/lmdb-batch-writer.ts', import.meta.url))
const KILL_ROUNDS = 4
const KILL_ROWS = 400
const WAIT_MS_MAX = 20_000

const base = await mkdtemp(join(tmpdir(), 'grove-lmdb-'))
t.teardown(() => rm(base, { recursive: true, force: true }))

let count = 0
const nextDirectory = (): string => join(base, `store-${++count}.d`)
const sameDirectory = (): string => join(base, `store-${count}.d`)

keyValueStoreSuite(t, 'LmdbKeyValueStore', {
  create: () => LmdbKeyValueStore.open({ directory: nextDirectory() }),
  reopen: () => LmdbKeyValueStore.open({ directory: sameDirectory() }),
  remove: () => rm(sameDirectory(), { recursive: true, force: true })
})

keyValueStoreSuite(t, 'LmdbKeyValueStore that is durable', {
  create: () => LmdbKeyValueStore.open({ directory: nextDirectory(), isDurable: true }),
  reopen: () => LmdbKeyValueStore.open({ directory: sameDirectory(), isDurable: true }),
  remove: () => rm(sameDirectory(), { recursive: true, force: true })
})

t.test('open() makes a directory and files that only their owner can read', async t => {
  const directory = nextDirectory()
  const store = await LmdbKeyValueStore.open({ directory })
  await store.commit([row('a', 10)])
  t.equal((await stat(directory)).mode & 0o777, 0o700)
  for (const name of ['data.mdb', 'lock.mdb']) {
    t.equal((await stat(join(directory, name))).mode & 0o777, 0o600, name)
  }
  await store.close()
})

t.test('a process killed at any moment leaves whole batches', async t => {
  const directory = nextDirectory()
  const random = new SeededRandom(1)
  let batchBefore = 0
  for (let round = 0; round < KILL_ROUNDS; round++) {
    const resolved = await writeUntilKilled(directory, 5 + random.integer(60))
    const store = await LmdbKeyValueStore.open({ directory })
    const all = { from: new Uint8Array(), to: Buffer.alloc(5, 0xff) }
    const batches = [...store.range(all)].map(([, value]) => Buffer.from(value).readUInt32LE())
    await store.commit(batches.map((_, i) => [keyOf(i), undefined]))
    await store.close()

    t.equal(batches.length, KILL_ROWS, 'every row is there')
    t.equal(new Set(batches).size, 1, 'all of one batch')
    const last = batches[0] ?? 0
    t.ok(last >= resolved, `batch ${last} is there, ${resolved} had resolved`)
    batchBefore += resolved
  }
  t.ok(batchBefore > KILL_ROUNDS, 'the writer got somewhere')
})

t.test('a file that lmdb must not trust is DAMAGED at open', async t => {
  const whole = nextDirectory()
  const store = await LmdbKeyValueStore.open({ directory: whole })
  for (let i = 0; i < 20; i++) {
    await store.commit(Array.from({ length: 20 }, (_, j) => row(`${i} ${j}`, 500)))
  }
  await store.close()
  const bytes = await readFile(join(whole, 'data.mdb'))

  const random = new SeededRandom(2)
  const damages: Record<string, (bytes: Buffer) => Buffer> = {
    'random bytes': bytes => Buffer.from(random.bytes(bytes.length)),
    text: () => Buffer.from('# not a database\n'),
    zeros: bytes => Buffer.alloc(bytes.length),
    'a page size of 0': bytes => patched(bytes, 48, 0),
    'another version': bytes => patched(bytes, 28, 99),
    'a root beyond the end': bytes => patched(bytes, 136, 0x7fffff),
    'a second header of zeros': bytes => bytes.fill(0, 4096, 8192),
    'one byte': bytes => bytes.subarray(0, 1)
  }
  for (let i = 0; i < 20; i++) {
    const length = 1 + random.integer(bytes.length - 4096)
    damages[`cut to ${length} bytes`] = bytes => bytes.subarray(0, length)
  }
  for (const [name, damage] of Object.entries(damages)) {
    const directory = nextDirectory()
    await mkdir(directory)
    await writeFile(join(directory, 'data.mdb'), damage(Buffer.from(bytes)))
    await t.rejects(LmdbKeyValueStore.open({ directory }), { code: 'DAMAGED' }, name)

    await LmdbKeyValueStore.discard({ directory })
    const fresh = await LmdbKeyValueStore.open({ directory })
    await fresh.commit([row('a', 1)])
    await fresh.close()
  }
})

t.test('garbage in the lock file does no harm', async t => {
  const directory = nextDirectory()
  const store = await LmdbKeyValueStore.open({ directory })
  await store.commit([row('a', 1)])
  await store.close()
  await writeFile(join(directory, 'lock.mdb'), new SeededRandom(3).bytes(8192))
  const again = await LmdbKeyValueStore.open({ directory })
  t.ok(again.get(Buffer.from('a')))
  await again.close()
})

t.test('open() where no directory can be made is IO', async t => {
  const file = join(base, 'a file')
  await writeFile(file, '')
  await t.rejects(LmdbKeyValueStore.open({ directory: join(file, 'store') }), { code: 'IO' })
})

const canMount = process.getuid?.() === 0 && process.platform === 'linux'
t.test(
  'commit() on a full disk is NO_SPACE and changes nothing',
  { skip: !canMount && 'needs root to mount a small tmpfs' },
  async t => {
    const directory = nextDirectory()
    await mkdir(directory)
    run('mount', '-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', directory)
    t.teardown(() => run('umount', '-l', directory))
    const store = await LmdbKeyValueStore.open({ directory })
    await store.commit([row('first', 1000)])

    let batches = 0
    const fill = async (): Promise<void> => {
      for (; batches < 1000; batches++) {
        await store.commit(Array.from({ length: 10 }, (_, i) => row(`${batches} ${i}`, 3000)))
      }
    }
    await t.rejects(fill(), { code: 'NO_SPACE' })
    t.ok(batches > 10, `${batches} batches went in`)

    const all = { from: new Uint8Array(), to: Uint8Array.of(0xff) }
    t.equal([...store.range(all)].length, 1 + 10 * batches, 'reads go on, whole batches only')
    await t.rejects(store.commit([row('more', 100_000)]), { code: 'NO_SPACE' }, 'and again')

    run('mount', '-o', 'remount,size=8m', directory)
    await store.commit([row('more', 100_000)])
    t.equal(store.get(Buffer.from('more'))?.length, 100_000, 'goes on when there is space')
    await store.close()
    const again = await LmdbKeyValueStore.open({ directory })
    t.equal([...again.range(all)].length, 2 + 10 * batches)
    await again.close()
  }
)

function row(key: string, size: number): Change {
  return [Buffer.from(key), Buffer.alloc(size, key)]
}

function keyOf(row: number): Buffer {
  const key = Buffer.alloc(4)
  key.writeUInt32BE(row)
  return key
}

function patched(bytes: Buffer, at: number, value: number): Buffer {
  for (const page of [0, 4096]) bytes.writeUInt32LE(value, page + at)
  return bytes
}

function run(command: string, ...options: string[]): void {
  const { status, stderr } = spawnSync(command, options, { encoding: 'utf8', timeout: WAIT_MS_MAX })
  if (status !== 0) throw new Error(`${command}: ${stderr}`)
}

/** Runs the writer, kills it some time after its third batch; @returns the last batch it told. */
async function writeUntilKilled(directory: string, delayMs: number): Promise<number> {
  const child = spawn(
    process.execPath,
    [...process.execArgv, WRITER, directory, String(KILL_ROWS)],
    { stdio: ['ignore', 'pipe', 'inherit'], timeout: WAIT_MS_MAX, killSignal: 'SIGKILL' }
  )
  let output = ''
  let killing = false
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk
    if (killing || output.split('\n').length < 4) return
    killing = true
    setTimeout(() => child.kill('SIGKILL'), delayMs)
  })
  await new Promise(resolve => child.on('close', resolve))
  return Number(output.trim().split('\n').at(-1))
}
