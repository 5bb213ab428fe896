/**
 * Makes this computer a device of a drive that was found again with the words: attests it, and
 * puts out the devices that are lost.
 *
 * @module
 */
import { sealDeviceName } from '../src/crypto/device-name.ts'
import type { DeviceKeys } from '../src/crypto/device-keys.ts'
import { sealDriveKey } from '../src/crypto/drive-key-envelope.ts'
import { proveDevice, type Identity } from '../src/crypto/identity.ts'
import type { KeyFileContent } from '../src/crypto/key-file.ts'
import { signLocatorStatement, LOCATOR_NUMBERS_MAX } from '../src/crypto/locator-statement.ts'
import {
  MEMBER_CUTS_MAX,
  signMemberStatement,
  type Cut,
  type MemberContent
} from '../src/crypto/member-statement.ts'
import type { Random } from '../src/crypto/random.ts'
import { HASH_BYTES, KEY_BYTES, blake2b, blake2bOfParts } from '../src/crypto/sodium.ts'
import type { Recovered } from '../src/replication/recovered-summaries.ts'
import { memberId, type Member } from '../src/sync/members.ts'
import type { Operation } from '../src/sync/operation.ts'

/** What became of the other devices: they go on, they are lost, or somebody else has one. */
export type OtherDevices = 'kept' | 'lost' | 'stolen'

/** What makes a device of a recovered drive. */
export interface RecoveredDeviceParts {
  /** The person; only read. */
  readonly identity: Identity
  /** This device's keys. */
  readonly deviceKeys: DeviceKeys
  /** What to call it; checked. */
  readonly deviceName: string
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** What the holders handed over. */
  readonly recovered: Recovered
  /** What became of the other devices. */
  readonly others: OtherDevices
  /** Which locator secret counted until now. */
  readonly locatorNumber: number
  /** When, in milliseconds since 1970. */
  readonly timeMs: number
  /** Dice. */
  readonly random: Random
}

/** A device of a recovered drive. */
export interface RecoveredDevice {
  /** For the key file. */
  readonly content: KeyFileContent
  /** For its first entry. */
  readonly firstOperations: readonly Operation[]
  /** The devices that were put out. */
  readonly revoked: readonly Member[]
}

const NO_BYTES = new Uint8Array(0)

/**
 * The attestation by which a keeper lets this device in before anything else is known.
 */
export function signHello(
  parts: Pick<RecoveredDeviceParts, 'identity' | 'deviceKeys' | 'timeMs'>
): Uint8Array {
  return attest(parts, {
    listVersion: 1,
    previous: new Uint8Array(HASH_BYTES),
    envelopesHash: new Uint8Array(HASH_BYTES),
    sealedName: NO_BYTES
  })
}

/** Makes the device. With `stolen`, drive key and locator secret are new from now on. */
export function makeRecoveredDevice(parts: RecoveredDeviceParts): RecoveredDevice {
  const { identity, deviceKeys, recovered, drive, others, random } = parts
  const { members, keys } = recovered
  if (others === 'stolen') keys.generate(random)
  const envelopes = others === 'stolen' ? sealNewest(parts) : []
  const device = deviceKeys.signing.publicKey
  const { listVersion, previous } = members.head
  const attestation = attest(parts, {
    listVersion,
    previous,
    envelopesHash: envelopes.length > 0 ? blake2bOfParts(envelopes) : new Uint8Array(HASH_BYTES),
    sealedName: sealDeviceName({ name: parts.deviceName, device, keys, random })
  })
  const own = memberId(device)
  const revoked =
    others === 'kept'
      ? []
      : members.all().filter(({ id, isSuspended }) => id !== own && !isSuspended)
  const statements = [attestation]
  for (const member of revoked) {
    const last = statements.at(-1) ?? attestation
    const at = listVersion + statements.length
    statements.push(revoke(parts, member, { listVersion: at, previous: blake2b(last) }))
  }
  const content = {
    ...{ deviceKeys, drive, keys },
    identity: identity.signing.publicKey,
    recoveryKey: identity.recovery.publicKey,
    indexKey: random.bytes(KEY_BYTES),
    logSeed: random.bytes(KEY_BYTES),
    statements: [...members.statements(), ...statements]
  }
  const bytes = [...statements, locatorStatement(parts)]
  const firstOperations = [
    ...bytes.map(each => ({ type: 'statement', bytes: each }) as const),
    ...envelopes.map(each => ({ type: 'envelope', bytes: each }) as const)
  ]
  return { content, firstOperations, revoked }
}

/** Whoever has a stolen device knows the secret that counted. */
function locatorStatement({ identity, locatorNumber, others }: RecoveredDeviceParts): Uint8Array {
  const next = others === 'stolen' ? locatorNumber + 1 : locatorNumber
  return signLocatorStatement(identity, Math.min(next, LOCATOR_NUMBERS_MAX - 1))
}

function sealNewest(parts: RecoveredDeviceParts): readonly Uint8Array[] {
  const { identity, deviceKeys, drive, recovered, random } = parts
  const row = recovered.keys.get(recovered.keys.currentKeyId)
  const recipients = [deviceKeys.box.publicKey, identity.recovery.publicKey]
  return recipients.map(recipient => sealDriveKey({ row, drive, recipient, random }))
}

type Said = Pick<MemberContent, 'listVersion' | 'previous' | 'envelopesHash' | 'sealedName'>

function attest(
  {
    identity,
    deviceKeys,
    timeMs
  }: Pick<RecoveredDeviceParts, 'identity' | 'deviceKeys' | 'timeMs'>,
  said: Said
): Uint8Array {
  const device = deviceKeys.signing.publicKey
  return signMemberStatement(
    {
      ...said,
      action: 'attest',
      identity: identity.signing.publicKey,
      subject: deviceKeys.publicKeys,
      rights: ['write', 'invite', 'release', 'audit'],
      issuedMs: timeMs,
      cuts: [],
      proof: proveDevice({ device, parent: identity.signing, timeMs })
    },
    identity.signing
  )
}

function revoke(
  { identity, recovered, timeMs }: RecoveredDeviceParts,
  member: Member,
  said: Pick<MemberContent, 'listVersion' | 'previous'>
): Uint8Array {
  const { signing, box, network } = member
  return signMemberStatement(
    {
      ...said,
      action: 'revoke',
      identity: identity.signing.publicKey,
      subject: { signing, box, network },
      rights: [],
      issuedMs: timeMs,
      envelopesHash: new Uint8Array(HASH_BYTES),
      cuts: cutsOf(recovered, member.id),
      sealedName: NO_BYTES,
      proof: NO_BYTES
    },
    identity.signing
  )
}

/** The logs of a device end where the holders know them to. */
function cutsOf({ announcements, operationLogs }: Recovered, device: string): readonly Cut[] {
  const expected = new Map(operationLogs.map(log => [log.key, log]))
  return announcements
    .filter(announcement => announcement.device === device)
    .slice(-MEMBER_CUTS_MAX)
    .flatMap(({ operationLog }) => {
      const known = expected.get(operationLog.key)
      if (known === undefined) return []
      const { length, treeHash } = known
      return [{ log: Buffer.from(operationLog.key, 'hex'), length, treeHash }]
    })
}
