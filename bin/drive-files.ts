/**
 * What can be asked of the files of a drive beside the file system: conflicts, versions, levels.
 *
 * @module
 */
import type { DriveVfs } from '../src/fs/drive-vfs.ts'
import { FsError, type FsErrorCode } from '../src/fs/fs-error.ts'
import { readVersion } from '../src/fs/read-version.ts'
import type { InodeNumber } from '../src/fs/vfs.ts'
import { XATTR_REDUNDANCY } from '../src/sync/effective-redundancy.ts'
import type { VersionId } from '../src/sync/operation.ts'
import type { Replica } from '../src/sync/replica.ts'
import { ROOT_INO, type FileVersion } from '../src/sync/tree-index.ts'
import type { ConflictStatus, Keep, VersionStatus } from './api.ts'
import { pathText } from './drive-path.ts'
import { GroveError } from './grove-error.ts'
import { jsonName, printableName, type JsonName } from './printable-name.ts'
import type { DrivePath } from './served-drive.ts'

/** So many digits of a log's key are in the name of a version. */
const LOG_DIGITS = 8

/** Asks for the level of the directory above. */
const INHERIT = 'inherit'

/** Why a conflict was not ended, after the path. */
const REFUSALS: Partial<Record<FsErrorCode, string>> = {
  ENODATA: 'is in no conflict; `grove conflicts` lists those there are',
  EISDIR: 'is a directory: only --keep both works, and what is in them is for you to merge',
  EINVAL: 'has several conflict copies: name the one to keep',
  EROFS: 'cannot be changed: the drive is mounted read-only'
}

/** What the files of a drive are seen through. */
export interface DriveFilesParts {
  /** The drive; borrowed. */
  readonly replica: Replica
  /** The file system that is mounted, if one is. */
  readonly mounted: () => DriveVfs | undefined
}

/** The files of an open drive. */
export class DriveFiles {
  readonly #replica: Replica
  readonly #mounted: DriveFilesParts['mounted']

  /** @param parts - see {@link DriveFilesParts} */
  constructor(parts: DriveFilesParts) {
    this.#replica = parts.replica
    this.#mounted = parts.mounted
  }

  /** See `SharedDrive.conflicts`. */
  *conflicts(): Iterable<ConflictStatus> {
    for (const conflict of this.#replica.index.conflicts()) {
      const directory = this.#replica.pathOf(conflict.directory)
      yield {
        ...jsonName(pathText([...directory, conflict.name])),
        original: jsonName(pathText([...directory, conflict.original])),
        device: conflict.otherDevice
      }
    }
  }

  /** See `SharedDrive.resolveConflict`. */
  async resolveConflict(path: DrivePath, keep: Keep): Promise<readonly JsonName[]> {
    const vfs = this.#mounted()
    const name = path.at(-1)
    if (vfs === undefined) throw new GroveError('NOT_FOUND', 'the drive is not mounted')
    if (name === undefined) throw new GroveError('NOT_FOUND', `/ ${REFUSALS.ENODATA ?? ''}`)
    const parent = this.#directory(path.slice(0, -1)) as InodeNumber
    try {
      const kept = vfs.resolveConflict({ parent, name }, keep)
      await this.#replica.sync()
      return kept.map(place =>
        jsonName(pathText([...this.#replica.pathOf(place.parent), place.name]))
      )
    } catch (error) {
      const refusal = error instanceof FsError ? REFUSALS[error.code] : undefined
      if (refusal === undefined) throw error
      throw new GroveError('NOT_FOUND', `${printable(path)} ${refusal}`, { cause: error })
    }
  }

  /** See `SharedDrive.versions`. */
  versions(path: DrivePath): Promise<readonly VersionStatus[]> {
    const versions = this.#replica.index.versions(this.#file(path))
    return Promise.resolve(
      versions.map(version => ({
        version: versionName(version.id),
        timeMs: version.time.sec * 1_000 + Math.floor(version.time.nsec / 1_000_000),
        size: version.size,
        device: version.device
      }))
    )
  }

  /** See `SharedDrive.cat`. */
  async *cat(path: DrivePath, version: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const ino = this.#file(path)
    const { id } = this.#version(ino, version)
    yield* readVersion(this.#replica, ino, id, signal)
  }

  /** The inode number of what is there. @throws {GroveError} `NOT_FOUND` */
  inodeOf(path: DrivePath): number {
    return this.#find(path)
  }

  /**
   * Sets the level of a file or directory.
   *
   * @param level - as the value of `user.grove.redundancy`, or `inherit` for that above it
   * @throws {GroveError} `NOT_FOUND`; `FAILED` when it cannot be set
   */
  async setLevel(path: DrivePath, level: string): Promise<void> {
    const ino = this.#find(path) as InodeNumber
    const vfs = this.#mounted()
    if (vfs === undefined) throw new GroveError('NOT_FOUND', 'the drive is not mounted')
    try {
      if (level !== INHERIT) vfs.setxattr(ino, XATTR_REDUNDANCY, Buffer.from(level), 'set')
      else if (vfs.listxattr(ino).includes(XATTR_REDUNDANCY)) vfs.removexattr(ino, XATTR_REDUNDANCY)
    } catch (error) {
      if (!(error instanceof FsError)) throw error
      throw new GroveError('FAILED', `${printable(path)} cannot have a level: ${error.code}`, {
        cause: error
      })
    }
    await this.#replica.sync()
  }

  #version(ino: number, name: string): FileVersion {
    const found = this.#replica.index.versions(ino).filter(({ id }) => versionName(id) === name)
    const [version] = found
    if (version !== undefined && found.length === 1) return version
    throw new GroveError(
      'NOT_FOUND',
      `there is no version "${printableName(name)}" of this file; \`grove versions\` lists them`
    )
  }

  #file(path: DrivePath): number {
    const ino = this.#find(path)
    if (this.#replica.index.inode(ino).kind === 'file') return ino
    throw new GroveError('NOT_FOUND', `${printable(path)} is no file`)
  }

  #directory(path: DrivePath): number {
    const ino = this.#find(path)
    if (this.#replica.index.inode(ino).kind === 'directory') return ino
    throw new GroveError('NOT_FOUND', `${printable(path)} is no directory`)
  }

  #find(path: DrivePath): number {
    const { index } = this.#replica
    let ino = ROOT_INO
    for (const name of path) {
      const next = index.inode(ino).kind === 'directory' ? index.lookup(ino, name) : undefined
      if (next === undefined) throw new GroveError('NOT_FOUND', `there is no ${printable(path)}`)
      ino = next.ino
    }
    return ino
  }
}

function versionName({ log, index, number }: VersionId): string {
  return `${log.slice(0, LOG_DIGITS)}.${index}.${number}`
}

function printable(path: DrivePath): string {
  return printableName(pathText(path))
}
