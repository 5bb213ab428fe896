/**
 * The list of members that follows from a set of member statements; a pure function of the set.
 *
 * - A statement of a device follows one that is here, as the version after it. The identity's
 *   own need not: whoever has only the words knows no version.
 * - Attested is who the identity attests, or a member with the right to invite; rights are at
 *   most the attester's. The identity's newest word about a device wins over the devices'.
 * - Any member suspends any other at once. It counts unless the one who signed it was suspended
 *   among what it follows. Only the identity lifts a suspension, by attesting anew as a version
 *   above it. Only the identity revokes or recovers.
 * - Of a suspended device's own attestations those count that its suspensions follow: it cannot
 *   bring in others by back-dating.
 * - Where versions are equal both count; where they contradict, the stricter does.
 *
 * @module
 */
import type { MemberStatement, Right } from '../crypto/member-statement.ts'
import { HASH_BYTES } from '../crypto/sodium.ts'

/** How many members a drive has at most; of more, the oldest attestations count. */
export const MEMBERS_MAX = 256

/** A statement whose signature and proof were verified, with its names as map keys. */
export interface KnownStatement {
  /** Hash of its bytes, hexadecimal. */
  readonly hash: string
  /** Hash of what it follows, hexadecimal. */
  readonly previous: string
  /** Who signed, hexadecimal. */
  readonly signer: string
  /** Whom it is about, hexadecimal. */
  readonly subject: string
  /** Whether the identity itself signed. */
  readonly isRoot: boolean
  /** What it says. */
  readonly statement: MemberStatement
  /** Its encoding. */
  readonly bytes: Uint8Array
}

/** One device on the list. */
export interface ListedMember {
  /** The attestation that counts. */
  readonly attestation: KnownStatement
  /** What it may do. */
  readonly rights: readonly Right[]
  /** Whether it was suspended or revoked. */
  readonly isSuspended: boolean
}

/** What the statement that is signed next follows. */
export interface ListHead {
  /** The version that the next statement makes. */
  readonly listVersion: number
  /** Hash of the statement it follows, 32 bytes; zeros for none. */
  readonly previous: Uint8Array
}

/** What follows from a set of statements. */
export interface MemberList {
  /** Oldest attestation first; at most {@link MEMBERS_MAX}. */
  readonly members: readonly ListedMember[]
  /** The statements by hash whose chain is here, each after what it follows. */
  readonly chained: ReadonlyMap<string, KnownStatement>
  /** Hashes of those of them that count. */
  readonly effective: ReadonlySet<string>
  /** Hashes of all without which the list is another: of those that count and what they follow. */
  readonly carrying: ReadonlySet<string>
  /** Signing keys, hexadecimal, of all who were ever attested, whoever was suspended since. */
  readonly claimed: ReadonlySet<string>
  /** What the next statement follows. */
  readonly head: ListHead
}

type Statements = ReadonlyMap<string, KnownStatement>

interface Attested {
  readonly attestation: KnownStatement
  readonly rights: readonly Right[]
}

/** Makes the list. The order of `statements` does not matter. */
export function listMembers(statements: Iterable<KnownStatement>): MemberList {
  const chained = chainedOf(statements)
  const claimed = attestedBy(chained, () => true)
  const suspensions = suspensionsOf(chained, claimed)
  const suspended = new Set(suspensions.map(({ subject }) => subject))
  const covered = coveredBy(chained, suspensions)
  const attested = attestedBy(
    chained,
    ({ signer, hash }) => covered.get(signer)?.every(before => before.has(hash)) ?? true
  )
  const members = [...attested.values()]
    .sort((left, right) => compareAge(left.attestation, right.attestation))
    .map(member => ({ ...member, isSuspended: suspended.has(member.attestation.subject) }))
  const effective = effectiveOf({ chained, attested, suspensions })
  const carrying = carryingOf({ chained, claimed, effective })
  const everAttested = new Set(claimed.keys())
  const head = headOf(chained, effective)
  return { members, chained, effective, carrying, claimed: everAttested, head }
}

/** The identity's first, then by version; the hash decides between equals. */
function compareAge(left: KnownStatement, right: KnownStatement): number {
  if (left.isRoot !== right.isRoot) return left.isRoot ? -1 : 1
  return compareVersion(left, right)
}

function compareVersion(left: KnownStatement, right: KnownStatement): number {
  const difference = left.statement.listVersion - right.statement.listVersion
  if (difference !== 0) return difference
  return left.hash < right.hash ? -1 : Number(left.hash > right.hash)
}

/** Those whose chain is here, each after what it follows. */
function chainedOf(statements: Iterable<KnownStatement>): Statements {
  const chained = new Map<string, KnownStatement>()
  for (const known of [...statements].sort(compareVersion)) {
    const version = chained.get(known.previous)?.statement.listVersion ?? Number.NaN
    if (known.isRoot || known.statement.listVersion === version + 1) chained.set(known.hash, known)
  }
  return chained
}

/** Hashes of all that `later` follows, directly or not. */
function pastOf(chained: Statements, later: KnownStatement): ReadonlySet<string> {
  const past = new Set<string>()
  for (let at = chained.get(later.previous); at !== undefined; at = chained.get(at.previous)) {
    past.add(at.hash)
  }
  return past
}

/** Who is attested, when of the devices' attestations those count that pass. */
function attestedBy(
  chained: Statements,
  counts: (attestation: KnownStatement) => boolean
): ReadonlyMap<string, Attested> {
  const attested = new Map<string, Attested>()
  const attestations = [...chained.values()].filter(isAttestation).sort(compareAge)
  for (const attestation of attestations) {
    if (!attestation.isRoot) continue
    // Ascending: the identity's last word is what stays.
    attested.set(attestation.subject, { attestation, rights: attestation.statement.rights })
  }
  const others = attestations.filter(counts)
  // Each round finds at least one more, and there are at most so many.
  for (let found = true; found;) {
    found = false
    for (const attestation of others) {
      if (attested.size >= MEMBERS_MAX || attested.has(attestation.subject)) continue
      const granted = attested.get(attestation.signer)?.rights
      if (granted === undefined || !granted.includes('invite')) continue
      const rights = attestation.statement.rights.filter(right => granted.includes(right))
      attested.set(attestation.subject, { attestation, rights })
      found = true
    }
  }
  return attested
}

function isAttestation({ statement, isRoot }: KnownStatement): boolean {
  return statement.action === 'attest' || (isRoot && statement.action === 'recover')
}

function isEnding({ statement, isRoot }: KnownStatement): boolean {
  return statement.action === 'suspend' || (isRoot && statement.action === 'revoke')
}

/** The suspensions and revocations that stand. */
function suspensionsOf(
  chained: Statements,
  attested: ReadonlyMap<string, Attested>
): readonly KnownStatement[] {
  const lifted = new Map<string, number>()
  for (const known of chained.values()) {
    if (known.isRoot && isAttestation(known)) lifted.set(known.subject, known.statement.listVersion)
  }
  const standing: KnownStatement[] = []
  // Ascending: those that one follows have been decided before it.
  for (const known of chained.values()) {
    if (!isEnding(known) || known.statement.listVersion < (lifted.get(known.subject) ?? 0)) continue
    if (known.isRoot) standing.push(known)
    else if (attested.has(known.signer)) {
      const past = pastOf(chained, known)
      const ending = standing.filter(({ subject }) => subject === known.signer)
      if (!ending.some(({ hash }) => past.has(hash))) standing.push(known)
    }
  }
  return standing
}

/** Of each suspended device, what each of its suspensions follows. */
function coveredBy(
  chained: Statements,
  suspensions: readonly KnownStatement[]
): ReadonlyMap<string, readonly ReadonlySet<string>[]> {
  const covered = new Map<string, ReadonlySet<string>[]>()
  for (const suspension of suspensions) {
    const before = covered.get(suspension.subject) ?? []
    covered.set(suspension.subject, [...before, pastOf(chained, suspension)])
  }
  return covered
}

function effectiveOf(parts: {
  readonly chained: Statements
  readonly attested: ReadonlyMap<string, Attested>
  readonly suspensions: readonly KnownStatement[]
}): ReadonlySet<string> {
  const effective = new Set(parts.suspensions.map(({ hash }) => hash))
  for (const { attestation } of parts.attested.values()) effective.add(attestation.hash)
  for (const { isRoot, hash } of parts.chained.values()) if (isRoot) effective.add(hash)
  return effective
}

/** A suspension stands although its signer's own attestation does no more: so that carries too. */
function carryingOf(parts: {
  readonly chained: Statements
  readonly claimed: ReadonlyMap<string, Attested>
  readonly effective: ReadonlySet<string>
}): ReadonlySet<string> {
  const { chained, claimed, effective } = parts
  const attestations = [...claimed.values()].map(({ attestation }) => attestation.hash)
  const carrying = new Set<string>()
  for (const hash of [...effective, ...attestations]) {
    let at = chained.get(hash)
    for (; at !== undefined && !carrying.has(at.hash); at = chained.get(at.previous))
      carrying.add(at.hash)
  }
  return carrying
}

/** The newest that counts: what an outsider made up is not built upon. */
function headOf(chained: Statements, effective: ReadonlySet<string>): ListHead {
  const newest = [...chained.values()].findLast(({ hash }) => effective.has(hash))
  if (newest === undefined) return { listVersion: 1, previous: new Uint8Array(HASH_BYTES) }
  const { hash, statement } = newest
  return { listVersion: statement.listVersion + 1, previous: bytesOf(hash) }
}

function bytesOf(hash: string): Uint8Array {
  return Uint8Array.from({ length: hash.length / 2 }, (_, at) =>
    Number.parseInt(hash.slice(2 * at, 2 * at + 2), 16)
  )
}
