/**
 * Reads an earlier version of a file, for as long as history keeps it.
 *
 * @module
 */
import type { VersionRun } from '../sync/fold-version.ts'
import { sameId } from '../sync/operation-id.ts'
import type { VersionId } from '../sync/operation.ts'
import type { Replica } from '../sync/replica.ts'
import { asFsError } from './as-fs-error.ts'
import { FsError } from './fs-error.ts'

/** The longest piece that a hole is read as, in bytes. */
export const HOLE_PIECE_BYTES = 128 * 1024

const ZEROS = new Uint8Array(HOLE_PIECE_BYTES)

/**
 * Reads a version from its beginning. What it is made of is settled when the first piece is asked
 * for: a merge or a change in between is not seen.
 *
 * @param ino - a file that has the version in its line, from the first to the newest
 * @param signal - ends waiting for other devices
 * @returns pieces that follow one another, only read; holes as zeros
 * @throws {FsError} ENOENT when the file has no such version; EIO, EHOSTUNREACH, ETIMEDOUT, EINTR
 */
export async function* readVersion(
  replica: Replica,
  ino: number,
  version: VersionId,
  signal: AbortSignal
): AsyncGenerator<Uint8Array> {
  try {
    const made = replica.index.versions(ino).find(({ id }) => sameId(id, version))
    if (made === undefined) throw new FsError('ENOENT', 'readVersion')
    let at = 0
    for (const run of replica.index.runsOf(ino, version)) {
      yield* zeros(run.offset - at)
      const bytes = await bytesOf(replica, run, signal)
      yield bytes
      at = run.offset + bytes.length
    }
    yield* zeros(made.size - at)
  } catch (error) {
    throw asFsError(error, 'readVersion')
  }
}

async function bytesOf(
  replica: Replica,
  run: VersionRun,
  signal: AbortSignal
): Promise<Uint8Array> {
  if (run.kind === 'inline') return run.bytes
  const block = await replica.readBlock(run, { signal })
  return block.subarray(run.blockOffset, run.blockOffset + run.length)
}

function* zeros(count: number): Iterable<Uint8Array> {
  for (let rest = count; rest > 0; rest -= ZEROS.length)
    yield ZEROS.subarray(0, Math.min(rest, ZEROS.length))
}
