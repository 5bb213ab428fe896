/**
 * Says which changes of a drive are let in: none on a read-only one, none that the disk has no
 * room for, and no more than a broken disk may leave in memory.
 *
 * @module
 */
import type { Clock } from '../sync/clock.ts'
import { PENDING_BYTES_MAX } from '../sync/committer.ts'
import type { Replica } from '../sync/replica.ts'
import { FsError } from './fs-error.ts'
import { SpaceGuard } from './space-guard.ts'
import type { FileSystemStatus } from './vfs.ts'
import { guard } from './vfs-guard.ts'

/** About how many bytes an operation without content takes. */
export const OPERATION_BYTES = 512

/** What a gate is made of. */
export interface ChangeGateParts {
  /** The drive; borrowed. */
  readonly replica: Pick<Replica, 'failureCode' | 'pendingBytes'>
  /** Time. */
  readonly clock: Clock
  /** Refuse every change with EROFS. */
  readonly readOnly: boolean
  /** The disk that the drive lives on. */
  readonly statfs: () => FileSystemStatus
}

/** Lets changes of a drive in. */
export class ChangeGate {
  /** Whether every change is refused. */
  readonly isReadOnly: boolean
  readonly #replica: ChangeGateParts['replica']
  readonly #space: SpaceGuard

  /** @param parts - borrowed */
  constructor(parts: ChangeGateParts) {
    this.isReadOnly = parts.readOnly
    this.#replica = parts.replica
    this.#space = new SpaceGuard(parts)
  }

  /** Runs what changes the drive and takes up to `bytes` of the disk. @throws {FsError} */
  change<T>(operation: string, bytes: number, body: () => T): T {
    return guard(operation, () => {
      if (this.isReadOnly) throw new FsError('EROFS', operation)
      const { failureCode, pendingBytes } = this.#replica
      if (failureCode === 'NO_SPACE') throw new FsError('ENOSPC', operation)
      if (failureCode && pendingBytes > PENDING_BYTES_MAX) throw new FsError('EIO', operation)
      if (bytes > 0) this.#space.take(bytes, pendingBytes, operation)
      return body()
    })
  }

  /** Runs what makes the drive smaller: it may use the reserve of a full disk. @throws {FsError} */
  removal<T>(operation: string, body: () => T): T {
    return guard(operation, () => {
      if (this.isReadOnly) throw new FsError('EROFS', operation)
      return body()
    })
  }

  /** Checks that `bytes` would fit now, without taking them. @throws {FsError} ENOSPC */
  checkSpace(bytes: number, operation: string): void {
    this.#space.check(bytes, operation)
  }
}
