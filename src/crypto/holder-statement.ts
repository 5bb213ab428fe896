/**
 * Statements about holders: which ones keep blocks of a drive, and what its owner calls them.
 * They are recorded in the drive, so that every device of the person knows the same holders.
 *
 * Domains `holder/add` and `holder/remove`, signed by a device. The sequence is the version of
 * what is said of this holder: the highest counts, of equals the one with the larger hash.
 * `previous` is zeros. As body:
 *
 * | bytes | what |
 * |---|---|
 * | 32 | drive |
 * | 32 + 32 | the holder's signing and network keys |
 * | 16 | machine tag that the holder stated when it was added |
 * | 8 | when, milliseconds since 1970 |
 * | 4 * (1 + n) | name, site, machine and person (see `short-text.ts`); empty for not named |
 *
 * Site, machine and person are what the owner says, and what copies are counted by.
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { CryptoError } from './crypto-error.ts'
import { MACHINE_TAG_BYTES } from './receipt.ts'
import { encodeShortText, readShortText } from './short-text.ts'
import { PUBLIC_KEY_BYTES, blake2b, equalBytes } from './sodium.ts'
import type { KeyPair } from './sodium.ts'
import {
  NO_PREVIOUS,
  decodeStatement,
  encodeStatement,
  signStatement,
  verifyStatement
} from './statement.ts'

/** What is said about the holder. */
export type HolderAction = 'add' | 'remove'

const ACTIONS: readonly HolderAction[] = ['add', 'remove']
const FIXED_BYTES = 3 * PUBLIC_KEY_BYTES + MACHINE_TAG_BYTES + 8

/** What a statement about a holder says. */
export interface HolderContent {
  /** What is said. */
  readonly action: HolderAction
  /** Which version of what is said of this holder this is; from 1. */
  readonly version: number
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** The holder's signing key, 32 bytes: what names it. */
  readonly holder: Uint8Array
  /** The holder's network key, 32 bytes. */
  readonly network: Uint8Array
  /** The machine tag that the holder stated; `MACHINE_TAG_BYTES`. */
  readonly machineTag: Uint8Array
  /** When, in milliseconds since 1970. */
  readonly timeMs: number
  /** What the owner calls the holder. */
  readonly name: string
  /** At which site the owner says it is; empty for not named, as the others. */
  readonly site: string
  /** On which machine the owner says it runs. */
  readonly machine: string
  /** Whose the owner says it is. */
  readonly person: string
}

/** A statement about a holder whose signature was verified. */
export interface HolderStatement extends HolderContent {
  /** The device that signed. Whether it is a member is for the caller to check. */
  readonly signer: Uint8Array
  /** Names the statement, 32 bytes; of two of one version the larger counts. */
  readonly hash: Uint8Array
}

/**
 * Signs a statement about a holder and encodes it.
 *
 * @throws {RangeError} when a text is too long or holds characters that cannot be shown
 */
export function signHolderStatement(content: HolderContent, keyPair: KeyPair): Uint8Array {
  const { action, version, name, site, machine, person } = content
  if (version === 0) throw new RangeError('versions of what is said of a holder begin at 1')
  const texts = [name, site, machine, person].map(encodeShortText)
  const size = texts.reduce((sum, { length }) => sum + length, FIXED_BYTES)
  const writer = new ByteWriter(new Uint8Array(size)).put(content.drive, PUBLIC_KEY_BYTES)
  writer.put(content.holder, PUBLIC_KEY_BYTES).put(content.network, PUBLIC_KEY_BYTES)
  writer.put(content.machineTag, MACHINE_TAG_BYTES).u64(content.timeMs)
  for (const text of texts) writer.put(text)
  const chained = { domain: domainOf(action), sequence: version, previous: NO_PREVIOUS }
  return encodeStatement(signStatement({ ...chained, body: writer.end() }, keyPair))
}

/**
 * Opens a statement about a holder and verifies its signature.
 *
 * @param bytes - from anyone
 * @throws {CryptoError} `TRUNCATED`, `MALFORMED`, `NEWER_FORMAT`, `FORGED`
 */
export function openHolderStatement(bytes: Uint8Array): HolderStatement {
  const statement = decodeStatement(bytes)
  const action = ACTIONS.find(candidate => domainOf(candidate) === statement.domain)
  if (action === undefined) {
    throw new CryptoError('MALFORMED', `no statement about a holder: ${statement.domain}`)
  }
  verifyStatement(statement, { domain: domainOf(action) })
  const { sequence: version, previous, signer } = statement
  if (version === 0 || !equalBytes(previous, NO_PREVIOUS)) {
    throw new CryptoError('MALFORMED', 'a statement about a holder in a chain')
  }
  const reader = new ByteReader(statement.body)
  const content = {
    drive: reader.copy(PUBLIC_KEY_BYTES),
    holder: reader.copy(PUBLIC_KEY_BYTES),
    network: reader.copy(PUBLIC_KEY_BYTES),
    machineTag: reader.copy(MACHINE_TAG_BYTES),
    timeMs: reader.u64(),
    name: readShortText(reader),
    site: readShortText(reader),
    machine: readShortText(reader),
    person: readShortText(reader)
  }
  reader.end()
  return { action, version, ...content, signer, hash: blake2b(bytes) }
}

function domainOf(action: HolderAction): string {
  return `holder/${action}`
}
