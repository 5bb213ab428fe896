/**
 * Statements about members: who belongs to a drive, and who no longer does.
 *
 * All four kinds have one body:
 *
 * | bytes | what |
 * |---|---|
 * | 32 | identity, the person's signing key |
 * | 3 * 32 | the subject's signing, box and network keys |
 * | 4 | rights: 1 write, 2 invite, 4 release, 8 audit; other bits are of a newer version |
 * | 8 + 8 | issued and expiry, milliseconds since 1970; expiry 0 is never |
 * | 32 | hash of the drive key envelopes that go with it, zeros for none |
 * | 4 + n * 72 | count and cuts: log (32 B), u64 length, tree hash (32 B) |
 * | 4 + n | length and sealed name of the subject (see `device-name.ts`), or empty |
 * | 4 + n | length and proof of the identity for the subject (see `identity.ts`), or empty |
 *
 * The version of the list is the statement's sequence, the list it follows its `previous`.
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { CryptoError } from './crypto-error.ts'
import { SEALED_NAME_BYTES } from './device-name.ts'
import { PROOF_BYTES_MAX, checkDeviceProof } from './identity.ts'
import { HASH_BYTES, PUBLIC_KEY_BYTES } from './sodium.ts'
import { decodeStatement, encodeStatement, signStatement, verifyStatement } from './statement.ts'
import type { DevicePublicKeys } from './device-keys.ts'
import type { KeyPair } from './sodium.ts'

/** How many logs one statement cuts at most. */
export const MEMBER_CUTS_MAX = 512

/** What a member may do. */
export type Right = 'write' | 'invite' | 'release' | 'audit'

/** What is said about the subject. */
export type MemberAction = 'attest' | 'suspend' | 'revoke' | 'recover'

/** How far a log of the subject still counts. */
export interface Cut {
  /** The log's key, 32 bytes. */
  readonly log: Uint8Array
  /** How many of its entries count. */
  readonly length: number
  /** The log's tree hash at that length, 32 bytes. */
  readonly treeHash: Uint8Array
}

/** What a member statement says. */
export interface MemberContent {
  /** What is said. */
  readonly action: MemberAction
  /** The version of the list of members that this makes; from 1. */
  readonly listVersion: number
  /** Hash of the statement that made the version before, or zeros. */
  readonly previous: Uint8Array
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** The device it is about. */
  readonly subject: DevicePublicKeys
  /** What the subject may do from now on. */
  readonly rights: readonly Right[]
  /** When, in milliseconds since 1970. */
  readonly issuedMs: number
  /** Until when, in milliseconds since 1970; absent for ever. */
  readonly expiresMs?: number
  /** Hash of the drive key envelopes that go with it; 32 bytes, zeros for none. */
  readonly envelopesHash: Uint8Array
  /** Where logs of the subject end; at most {@link MEMBER_CUTS_MAX}. */
  readonly cuts: readonly Cut[]
  /** The subject's name, sealed; or empty. */
  readonly sealedName: Uint8Array
  /** The identity's proof for the subject; needed to attest, else empty. */
  readonly proof: Uint8Array
}

/** A member statement whose signature was verified. */
export interface MemberStatement extends MemberContent {
  /** Who signed: the identity, or a device whose right to do so the caller checks. */
  readonly signer: Uint8Array
}

const RIGHT_BITS: Readonly<Record<Right, number>> = { write: 1, invite: 2, release: 4, audit: 8 }
const RIGHTS: readonly Right[] = ['write', 'invite', 'release', 'audit']
const ACTIONS: readonly MemberAction[] = ['attest', 'suspend', 'revoke', 'recover']
const RIGHTS_MASK = 15
const CUT_BYTES = HASH_BYTES + 8 + HASH_BYTES
const FIXED_BYTES = 4 * PUBLIC_KEY_BYTES + 4 + 16 + HASH_BYTES + 3 * 4

/** Signs a member statement and encodes it. */
export function signMemberStatement(content: MemberContent, keyPair: KeyPair): Uint8Array {
  const statement = signStatement(
    {
      domain: domainOf(content.action),
      sequence: content.listVersion,
      previous: content.previous,
      body: encodeBody(content)
    },
    keyPair
  )
  return encodeStatement(statement)
}

/**
 * Opens a member statement: parses it, verifies the signature and, of an attestation, that the
 * identity vouches for the subject.
 *
 * @param bytes - from anyone
 * @throws {CryptoError} `TRUNCATED`, `MALFORMED`, `NEWER_FORMAT`, `FORGED`
 */
export function openMemberStatement(bytes: Uint8Array): MemberStatement {
  const statement = decodeStatement(bytes)
  const action = ACTIONS.find(candidate => domainOf(candidate) === statement.domain)
  if (action === undefined) {
    throw new CryptoError('MALFORMED', `no member statement: ${statement.domain}`)
  }
  verifyStatement(statement, { domain: domainOf(action) })
  const member = {
    action,
    listVersion: statement.sequence,
    previous: statement.previous,
    signer: statement.signer,
    ...decodeBody(statement.body)
  }
  if (action === 'attest') {
    const { proof, identity, subject } = member
    checkDeviceProof({ proof, identity, device: subject.signing })
  }
  return member
}

function domainOf(action: MemberAction): string {
  return `member/${action}`
}

function encodeBody(content: MemberContent): Uint8Array {
  const { subject, cuts, sealedName, proof } = content
  if (cuts.length > MEMBER_CUTS_MAX) throw new RangeError('too many cuts')
  if (proof.length > PROOF_BYTES_MAX) throw new RangeError('the proof is too long')
  if (sealedName.length !== 0 && sealedName.length !== SEALED_NAME_BYTES) {
    throw new RangeError('no sealed name')
  }
  const size = FIXED_BYTES + cuts.length * CUT_BYTES + sealedName.length + proof.length
  const writer = new ByteWriter(new Uint8Array(size)).put(content.identity, PUBLIC_KEY_BYTES)
  for (const key of [subject.signing, subject.box, subject.network]) {
    writer.put(key, PUBLIC_KEY_BYTES)
  }
  writer.u32(content.rights.reduce((bits, right) => bits | RIGHT_BITS[right], 0))
  writer.u64(content.issuedMs).u64(content.expiresMs ?? 0)
  writer.put(content.envelopesHash, HASH_BYTES).u32(cuts.length)
  for (const { log, length, treeHash } of cuts) {
    writer.put(log, HASH_BYTES).u64(length).put(treeHash, HASH_BYTES)
  }
  return writer.u32(sealedName.length).put(sealedName).u32(proof.length).put(proof).end()
}

type Body = Omit<MemberContent, 'action' | 'listVersion' | 'previous'>

function decodeBody(bytes: Uint8Array): Body {
  const reader = new ByteReader(bytes)
  const key = () => reader.copy(PUBLIC_KEY_BYTES)
  const identity = key()
  const subject = { signing: key(), box: key(), network: key() }
  const rights = decodeRights(reader.u32())
  const issuedMs = reader.u64()
  const expiresMs = reader.u64()
  const envelopesHash = reader.copy(HASH_BYTES)
  const cuts: Cut[] = []
  for (let count = reader.count(MEMBER_CUTS_MAX); count > 0; count--) {
    const log = reader.copy(HASH_BYTES)
    cuts.push({ log, length: reader.u64(), treeHash: reader.copy(HASH_BYTES) })
  }
  const sealedName = reader.copy(reader.count(SEALED_NAME_BYTES))
  if (sealedName.length !== 0 && sealedName.length !== SEALED_NAME_BYTES) {
    throw new CryptoError('MALFORMED', `a sealed name of ${sealedName.length} bytes`)
  }
  const proof = reader.copy(reader.count(PROOF_BYTES_MAX))
  reader.end()
  const expiry = expiresMs === 0 ? {} : { expiresMs }
  return { identity, subject, rights, issuedMs, ...expiry, envelopesHash, cuts, sealedName, proof }
}

function decodeRights(bits: number): Right[] {
  if (bits > RIGHTS_MASK) throw new CryptoError('NEWER_FORMAT', `unknown rights ${bits}`)
  return RIGHTS.filter(right => (bits & RIGHT_BITS[right]) !== 0)
}
