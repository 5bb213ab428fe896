/**
 * What every {@link Log} does: run on the fake and on the real one.
 *
 * @module
 */
import type { Test } from 'tap'
import { ENTRY_BYTES_MAX, type Log } from '../../src/sync/log.ts'
import { SyncError, type SyncErrorCode } from '../../src/sync/sync-error.ts'

/** A home with logs, as the suite needs it. */
export interface LogHomeSubject<L extends Log = Log> {
  /** Opens a log; the same name is the same log. */
  open(name: string): Promise<L>
  /** The process dies (`kill -9`) and starts again: what `open` gave before is dead. */
  restart(): Promise<void>
  /** The machine loses power: everything not synced is lost. Then as {@link restart}. */
  losePower(): Promise<void>
  /** Releases everything. */
  close(): Promise<void>
}

/** How the suite makes what it tests. */
export interface LogSubject<L extends Log = Log> {
  /** Makes an empty home. */
  create(): Promise<LogHomeSubject<L>>
}

/** Bytes from text. */
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Text from bytes. */
export const text = (array: Uint8Array): string => new TextDecoder().decode(array)

/** Runs `run` on a fresh home and releases it, whatever happens. */
export async function withHome<L extends Log>(
  subject: LogSubject<L>,
  run: (home: LogHomeSubject<L>) => Promise<void>
): Promise<void> {
  const home = await subject.create()
  try {
    await run(home)
  } finally {
    await home.close()
  }
}

/** Expects a {@link SyncError} of this code. */
export async function rejectsWith(
  t: Test,
  code: SyncErrorCode,
  call: () => Promise<unknown>,
  message: string
): Promise<void> {
  try {
    await call()
    t.fail(`${message}: did not throw`)
  } catch (error) {
    t.ok(error instanceof SyncError && error.code === code, `${message}: ${String(error)}`)
  }
}

/** Runs the suite. */
export function logSuite(t: Test, name: string, subject: LogSubject): void {
  const test = (title: string, run: (t: Test, home: LogHomeSubject) => Promise<void>): void => {
    void t.test(`${name}: ${title}`, t => withHome(subject, home => run(t, home)))
  }
  appendTests(test)
  readTests(test)
  durabilityTests(test)
  closeTests(test)
}

type Define = (title: string, run: (t: Test, home: LogHomeSubject) => Promise<void>) => void

function appendTests(test: Define): void {
  test('append() numbers entries from 0 and says the new length', async (t, home) => {
    const log = await home.open('a')
    t.equal(log.length, 0)
    t.equal(await log.append([bytes('one')], 0), 1)
    t.equal(await log.append([bytes('two'), bytes('three')], 1), 3)
    t.equal(log.length, 3)
    t.same([text(await log.get(0)), text(await log.get(2))], ['one', 'three'])
  })

  test('append() onto another length is DIVERGED and changes nothing', async (t, home) => {
    const log = await home.open('a')
    await log.append([bytes('one')], 0)
    await rejectsWith(t, 'DIVERGED', () => log.append([bytes('x')], 0), 'too short')
    await rejectsWith(t, 'DIVERGED', () => log.append([bytes('x')], 2), 'too long')
    t.equal(log.length, 1)
    t.equal(await log.append([bytes('two')], 1), 2, 'and the right one still works')
  })

  test('append() runs calls in the order made', async (t, home) => {
    const log = await home.open('a')
    const names = Array.from({ length: 50 }, (_, index) => `entry ${String(index)}`)
    const lengths = await Promise.all(names.map((name, index) => log.append([bytes(name)], index)))
    t.same(
      lengths,
      names.map((_, index) => index + 1)
    )
    t.same(await Promise.all(names.map(async (_, index) => text(await log.get(index)))), names)
  })

  test('append() of two calls for one place: the first wins, the second is DIVERGED', async (t, home) => {
    const log = await home.open('a')
    const [first, second] = await Promise.allSettled([
      log.append([bytes('first')], 0),
      log.append([bytes('second')], 0)
    ])
    t.equal(first.status, 'fulfilled')
    t.match(second, { status: 'rejected', reason: { code: 'DIVERGED' } })
    t.equal(text(await log.get(0)), 'first')
  })

  test('append() refuses no entries, empty ones and huge ones', async (t, home) => {
    const log = await home.open('a')
    const huge = new Uint8Array(ENTRY_BYTES_MAX + 1)
    for (const entries of [[], [bytes('')], [bytes('good'), huge]])
      await t.rejects(async () => log.append(entries, 0), RangeError)
    t.equal(log.length, 0)
  })

  test('append() keeps the largest entry and every byte value', async (t, home) => {
    const log = await home.open('a')
    const large = Uint8Array.from({ length: ENTRY_BYTES_MAX }, (_, index) => (index * 31) & 255)
    await log.append([large, Uint8Array.of(0)], 0)
    t.ok(Buffer.from(large).equals(await log.get(0)))
    t.same([...(await log.get(1))], [0])
  })

  test('append() of a subarray takes those bytes alone', async (t, home) => {
    const log = await home.open('a')
    await log.append([bytes('xxinnerxx').subarray(2, 7)], 0)
    t.equal(text(await log.get(0)), 'inner')
  })
}

function readTests(test: Define): void {
  test('get() beyond the end is MISSING', async (t, home) => {
    const log = await home.open('a')
    await rejectsWith(t, 'MISSING', () => log.get(0), 'of an empty log')
    await log.append([bytes('one')], 0)
    await rejectsWith(t, 'MISSING', () => log.get(1), 'at the length')
  })

  test('get() of what is not an index is refused', async (t, home) => {
    const log = await home.open('a')
    for (const index of [-1, 0.5, Number.NaN])
      await t.rejects(async () => log.get(index), RangeError)
  })

  test('get() gives bytes that the caller may keep', async (t, home) => {
    const log = await home.open('a')
    const buffer = bytes('before')
    await log.append([buffer], 0)
    buffer.fill(0)
    const kept = await log.get(0)
    await log.append([bytes('later')], 1)
    t.equal(text(kept), 'before')
    t.equal(text(await log.get(0)), 'before', 'the borrowed buffer is free after the append')
  })

  test('treeHash() is equal exactly for equal histories', async (t, home) => {
    const [left, right] = [await home.open('left'), await home.open('right')]
    for (const log of [left, right]) await log.append([bytes('one'), bytes('two')], 0)
    await left.append([bytes('three')], 2)
    await right.append([bytes('other')], 2)
    const hash = async (log: Log, length: number) =>
      Buffer.from(await log.treeHash(length)).toString('hex')
    for (const length of [0, 1, 2]) t.equal(await hash(left, length), await hash(right, length))
    t.not(await hash(left, 3), await hash(right, 3))
    t.equal(new Set(await Promise.all([0, 1, 2, 3].map(length => hash(left, length)))).size, 4)
    t.equal((await left.treeHash(3)).length, 32)
    await t.rejects(async () => left.treeHash(4), RangeError)
  })

  test('logs of one home have keys and entries of their own', async (t, home) => {
    const [left, right] = [await home.open('left'), await home.open('right')]
    t.not(left.key, right.key)
    t.match(left.key, /^[0-9a-f]{64}$/)
    await left.append([bytes('left')], 0)
    t.equal(right.length, 0)
  })
}

function durabilityTests(test: Define): void {
  test('entries survive the end of the process', async (t, home) => {
    const log = await home.open('a')
    await log.append([bytes('one'), bytes('two')], 0)
    const hash = await log.treeHash(2)
    await home.restart()
    const again = await home.open('a')
    t.equal(again.key, log.key)
    t.equal(again.length, 2)
    t.equal(text(await again.get(1)), 'two')
    t.same(await again.treeHash(2), hash)
    t.equal(await again.append([bytes('three')], 2), 3)
  })

  test('sync() makes the entries of every log of the home survive a loss of power', async (t, home) => {
    const [left, right] = [await home.open('left'), await home.open('right')]
    await left.append([bytes('left')], 0)
    await right.append([bytes('right')], 0)
    await left.sync()
    await home.losePower()
    t.equal(text(await (await home.open('left')).get(0)), 'left')
    t.equal(text(await (await home.open('right')).get(0)), 'right')
  })

  test('a loss of power may take what was not synced, and the log goes on', async (t, home) => {
    const log = await home.open('a')
    await log.append([bytes('synced')], 0)
    await log.sync()
    await log.append([bytes('lost')], 1)
    await home.losePower()
    const again = await home.open('a')
    t.equal(again.length, 1)
    t.equal(await again.append([bytes('new')], 1), 2)
    t.equal(text(await again.get(1)), 'new')
  })

  test('sync() may be called by many at once and with nothing to do', async (t, home) => {
    const log = await home.open('a')
    await log.sync()
    await log.append([bytes('one')], 0)
    await Promise.all(Array.from({ length: 20 }, () => log.sync()))
    await home.losePower()
    t.equal((await home.open('a')).length, 1)
  })
}

function closeTests(test: Define): void {
  test('close() waits for appends under way and is idempotent', async (t, home) => {
    const log = await home.open('a')
    const appended = log.append([bytes('one')], 0)
    await Promise.all([log.close(), log.close()])
    t.equal(await appended, 1)
    await log.close()
    t.equal((await home.open('a')).length, 1)
  })

  test('every call after close() is CLOSED', async (t, home) => {
    const log = await home.open('a')
    await log.append([bytes('one')], 0)
    await log.close()
    await rejectsWith(t, 'CLOSED', () => log.append([bytes('two')], 1), 'append')
    await rejectsWith(t, 'CLOSED', () => log.get(0), 'get')
    await rejectsWith(t, 'CLOSED', () => log.treeHash(0), 'treeHash')
    await rejectsWith(t, 'CLOSED', () => log.sync(), 'sync')
    t.equal(log.length, 1, 'the length stays')
  })

  test('a log can be opened twice; both see every entry', async (t, home) => {
    const [one, other] = [await home.open('a'), await home.open('a')]
    await one.append([bytes('one')], 0)
    await other.append([bytes('two')], 1)
    t.same([one.length, other.length], [2, 2])
    await one.close()
    t.equal(text(await other.get(1)), 'two', 'and closing one leaves the other')
  })
}
