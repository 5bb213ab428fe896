/**
 * What a case of the Vfs suite is made of.
 *
 * @module
 */
import type { Test } from 'tap'
import { FsError, type FsErrorCode } from '../../../src/fs/fs-error.ts'
import type { Vfs } from '../../../src/fs/vfs.ts'
import type { Timestamp } from '../../../src/sync/clock.ts'
import { VfsSession } from '../../support/vfs-session.ts'

/** A file system as the suite needs it. */
export interface VfsUnderTest {
  /** Empty, its root directory owned by 0:0 with mode 0755 or as the subject makes it. */
  readonly vfs: Vfs
  /** Lets wall time pass, by at least a millisecond as its clock counts. */
  tick(): void | Promise<void>
  /** Closes it and opens what it left on disk; only called if `supports.reopen`. */
  reopen?(): Promise<Vfs>
  /** Releases everything. */
  close(): Promise<void>
}

/** What a subject can do that others cannot. */
export interface VfsSupport {
  /** Content survives being closed: the subject has `reopen`. */
  readonly reopen: boolean
  /** Ranges never written take no space and are found by seek. */
  readonly holes: boolean
}

/** A session with what a case needs besides the calls. */
export interface VfsCaseSession extends VfsSession {
  /** See {@link VfsUnderTest.tick}. */
  tick(): Promise<void>
  /** Closes the file system, opens it again and gives a session on it. */
  reopened(): Promise<VfsCaseSession>
}

/** One named behaviour. */
export interface VfsCase {
  /** Says symbol and behaviour. */
  readonly name: string
  /** Only run where the subject supports this. */
  readonly needs?: keyof VfsSupport
  /** Checks it on an empty file system. */
  run(t: Test, session: VfsCaseSession): void | Promise<void>
}

/** Expects an {@link FsError} with this code, thrown or rejected. */
export async function failsWith(
  t: Test,
  code: FsErrorCode,
  call: () => unknown,
  message: string
): Promise<void> {
  try {
    await call()
    t.fail(`${message}: expected ${code}, but it succeeded`)
  } catch (error) {
    t.ok(error instanceof FsError, `${message}: throws an FsError, here ${String(error)}`)
    t.equal(error instanceof FsError ? error.code : undefined, code, message)
  }
}

/** Expects the same bytes. Quick also for large ones, and says where they first differ. */
export function sameBytes(
  t: Test,
  actual: Uint8Array,
  expected: Uint8Array,
  message = 'the same bytes'
): void {
  const difference = firstDifference(actual, expected)
  if (difference === undefined) {
    t.pass(message)
    return
  }
  const around = { from: Math.max(0, difference - 8), to: difference + 8 }
  t.fail(`${message}: byte ${difference} differs`, {
    found: { length: actual.length, bytes: [...actual.subarray(around.from, around.to)] },
    wanted: { length: expected.length, bytes: [...expected.subarray(around.from, around.to)] }
  })
}

/** @returns where two runs of bytes first differ, in content or by one ending, or undefined */
export function firstDifference(one: Uint8Array, other: Uint8Array): number | undefined {
  if (Buffer.compare(one, other) === 0) return undefined
  const common = Math.min(one.length, other.length)
  for (let at = 0; at < common; at++) if (one[at] !== other[at]) return at
  return common
}

/** Nanoseconds since 1970, for comparing times. */
export function nanoseconds(time: Timestamp): bigint {
  return BigInt(time.sec) * 1_000_000_000n + BigInt(time.nsec)
}

/** A session on what a subject made. */
export class CaseSession extends VfsSession implements VfsCaseSession {
  readonly #made: VfsUnderTest

  /** @param made - what the subject made; @param vfs - its file system, as last opened */
  constructor(made: VfsUnderTest, vfs: Vfs) {
    super(vfs)
    this.#made = made
  }

  /** See {@link VfsCaseSession.tick}. */
  async tick(): Promise<void> {
    await this.#made.tick()
  }

  /** See {@link VfsCaseSession.reopened}. */
  async reopened(): Promise<VfsCaseSession> {
    if (!this.#made.reopen) throw new Error('this subject cannot be reopened')
    return new CaseSession(this.#made, await this.#made.reopen())
  }
}
