/**
 * What this device signs for the copies of its drive: releases, their cancelling, and keep-locks
 * on what it keeps itself.
 *
 * @module
 */
import { signKeepLock } from '../src/crypto/keep-lock.ts'
import { releaseHash, signCancel, signRelease } from '../src/crypto/release.ts'
import type { KeyPair } from '../src/crypto/sodium.ts'
import type { CustodySigner } from '../src/replication/custodian-parts.ts'
import type { GrantedLock } from '../src/replication/holder-link.ts'
import { KEEP_GRANT_MS } from '../src/replication/keep-lock.ts'
import { ReplicationError } from '../src/replication/replication-error.ts'
import { nowMs } from '../src/replication/wall-time.ts'
import { isSubset, type BlockSet } from '../src/sync/block-bitmap.ts'
import type { Clock } from '../src/sync/clock.ts'
import type { LogKey } from '../src/sync/log.ts'

/** What signs; all of it is borrowed. */
export interface DeviceSignerParts {
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** This device's signing keys. */
  readonly keyPair: KeyPair
  /** Time. */
  readonly clock: Clock
  /** Which blocks of a window are kept here. */
  readonly kept: (log: LogKey, window: number) => Uint8Array
}

/** See the module. */
export class DeviceSigner implements CustodySigner {
  readonly #parts: DeviceSignerParts

  /** @param parts - see {@link DeviceSignerParts} */
  constructor(parts: DeviceSignerParts) {
    this.#parts = parts
  }

  release(input: Parameters<CustodySigner['release']>[0]): Uint8Array {
    const { drive, keyPair, clock } = this.#parts
    const { keeper, kind, floor, blocks } = input
    const windows = blocks.map(({ log, window, bitmap }) => ({ log: bytesOf(log), window, bitmap }))
    const issuedMs = nowMs(clock)
    return signRelease({ drive, keeper: bytesOf(keeper), kind, floor, issuedMs, windows }, keyPair)
  }

  cancel(release: Uint8Array): Uint8Array {
    const { keyPair, clock } = this.#parts
    return signCancel({ release: releaseHash(release), issuedMs: nowMs(clock) }, keyPair)
  }

  /** What is locked is kept: this device clears only what no file needs. */
  lock(
    request: BlockSet & { readonly dropper: string; readonly attempt: Uint8Array }
  ): GrantedLock {
    const { keyPair, clock, kept } = this.#parts
    const { log, window, bitmap, dropper, attempt } = request
    if (!isSubset(bitmap, kept(log, window)))
      throw new ReplicationError('UNAVAILABLE', 'this device does not keep the blocks')
    const grantedMs = nowMs(clock)
    const expiresMs = grantedMs + KEEP_GRANT_MS
    const blocks = { log: bytesOf(log), window, bitmap }
    const content = { dropper: bytesOf(dropper), attempt, ...blocks, grantedMs, expiresMs }
    return { statement: signKeepLock(content, keyPair) }
  }
}

function bytesOf(hex: string): Uint8Array {
  return Buffer.from(hex, 'hex')
}
