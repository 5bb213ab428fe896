/**
 * Opening what was sealed, with the errors of this room.
 *
 * @module
 */
import { CryptoError } from '../crypto/crypto-error.ts'
import type { Sealer } from '../crypto/sealer.ts'
import { SyncError } from './sync-error.ts'

/**
 * Opens a sealed block or entry.
 *
 * @returns a view of fresh memory
 * @throws {SyncError} `DAMAGED`, or `NEWER_FORMAT` when a newer grove sealed it
 */
export function openBlock(sealer: Sealer, sealed: Uint8Array, index: number): Uint8Array {
  try {
    return sealer.open(sealed, index)
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error
    const code = error.code === 'NEWER_FORMAT' ? 'NEWER_FORMAT' : 'DAMAGED'
    throw new SyncError(code, 'sealed bytes could not be opened', { cause: error })
  }
}
