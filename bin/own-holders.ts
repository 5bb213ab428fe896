/**
 * What this person's own holders on this computer keep for others, as both signed it. The holders
 * say so themselves, over the daemon's socket; see `own-drive.ts`.
 *
 * @module
 */
import { isDoublySigned, openBalance, openBalanceAccepted } from '../src/crypto/balance.ts'
import { CryptoError } from '../src/crypto/crypto-error.ts'
import type { OwnHolderRequest } from './custody-api.ts'
import { GroveError } from './grove-error.ts'

/** How many own holders are heard. */
export const OWN_HOLDERS_MAX = 16

/** See the module. */
export class OwnHolders {
  /** By holder, then by person's name; in MiB times seconds. */
  readonly #kept = new Map<string, ReadonlyMap<string, number>>()

  /**
   * Hears a holder.
   *
   * @throws {GroveError} `USAGE` when what it says is not signed by both, or there are too many
   */
  told({ holder, persons }: OwnHolderRequest): void {
    if (!this.#kept.has(holder) && this.#kept.size >= OWN_HOLDERS_MAX)
      throw new GroveError('USAGE', `a drive hears ${OWN_HOLDERS_MAX} own holders at most`)
    const kept = new Map<string, number>()
    for (const { name, identity, balance, accepted } of persons)
      kept.set(name, (kept.get(name) ?? 0) + mibSecondsOf({ holder, identity, balance, accepted }))
    this.#kept.set(holder, kept)
  }

  /** How much was kept for a person, in MiB times seconds; undefined when nothing was signed. */
  keptFor(name: string): number | undefined {
    const known = [...this.#kept.values()].flatMap(kept => kept.get(name) ?? [])
    return known.length === 0 ? undefined : known.reduce((sum, each) => sum + each, 0)
  }
}

/** Whether the device that accepted is one of the person's, the holder has seen to. */
function mibSecondsOf(
  claim: Pick<OwnHolderRequest, 'holder'> & Omit<OwnHolderRequest['persons'][number], 'name'>
): number {
  try {
    const balance = openBalance(Buffer.from(claim.balance, 'base64'), {
      signer: Buffer.from(claim.holder, 'hex')
    })
    const accepted = openBalanceAccepted(Buffer.from(claim.accepted, 'base64'))
    const isAbout = Buffer.from(balance.identity).toString('hex') === claim.identity
    if (isAbout && isDoublySigned(balance, accepted)) return balance.mibSeconds
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error
  }
  throw new GroveError('USAGE', 'a balance that not both have signed')
}
