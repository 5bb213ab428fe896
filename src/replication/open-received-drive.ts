/**
 * From what an inviter handed over to what a device keeps of it.
 *
 * It is believed only where it proves itself: the inviter's signature over it, the chain from the
 * identity to this device, every drive key against its commitment. Only that it is the right
 * person's identity rests on the code alone: whoever made the code is whom this device joins.
 *
 * @module
 */
import { CryptoError } from '../crypto/crypto-error.ts'
import type { DeviceKeys } from '../crypto/device-keys.ts'
import { openDriveKey } from '../crypto/drive-key-envelope.ts'
import type { KeyFileContent } from '../crypto/key-file.ts'
import { KeyTable } from '../crypto/key-table.ts'
import { openMemberStatement, type MemberStatement } from '../crypto/member-statement.ts'
import { openPairingAnswer, type OpenedPairingAnswer } from '../crypto/pairing-answer.ts'
import type { Random } from '../crypto/random.ts'
import { KEY_BYTES, blake2bOfParts, equalBytes, wipe } from '../crypto/sodium.ts'
import { Members, memberId, type Member } from '../sync/members.ts'

/** A drive that this device belongs to. */
export interface ReceivedDrive {
  /** For the key file. */
  readonly content: KeyFileContent
  /** The device that invited this one: to be connected to at once. */
  readonly inviter: Member
}

interface Received {
  readonly opened: OpenedPairingAnswer
  readonly deviceKeys: DeviceKeys
}

/**
 * Verifies all that was handed over.
 *
 * @param input.answer - from anyone
 * @param input.request - what this device sent
 * @param input.name - what this device asked to be called
 * @throws {CryptoError} when any of it is not genuine
 */
export function openReceivedDrive(input: {
  readonly answer: Uint8Array
  readonly request: Uint8Array
  readonly deviceKeys: DeviceKeys
  readonly name: string
  readonly random: Random
}): ReceivedDrive {
  const { deviceKeys, name, random } = input
  const opened = openPairingAnswer(input.answer, input.request)
  const received = { opened, deviceKeys }
  const { drive, recoveryKey, attestation } = opened
  const attested = checkedAttestation(received)
  const { identity } = attested
  const keys = openEnvelopes(received, attested)
  const statements = [...opened.statements, attestation]
  const members = new Members({ identity, keys, statements })
  const own = members.bySigning(memberId(deviceKeys.signing.publicKey))
  const inviter = members.bySigning(memberId(opened.inviter))
  if (own === undefined || own.isSuspended || !equalBytes(own.statement, attestation)) {
    throw new CryptoError('FORGED', 'the attestation does not make this device a member')
  }
  if (inviter === undefined || inviter.isSuspended) {
    throw new CryptoError('FORGED', 'the inviter is no member')
  }
  if (own.name !== name) throw new CryptoError('FORGED', 'the attestation has another name')
  const secrets = { indexKey: random.bytes(KEY_BYTES), logSeed: random.bytes(KEY_BYTES) }
  const content = { deviceKeys, drive, identity, recoveryKey, keys, ...secrets, statements }
  return { content, inviter }
}

function checkedAttestation({ opened, deviceKeys }: Received): MemberStatement {
  const attested = openMemberStatement(opened.attestation)
  const { subject, signer, action, rights } = attested
  const { signing, box, network } = deviceKeys.publicKeys
  const isOurs =
    equalBytes(subject.signing, signing) &&
    equalBytes(subject.box, box) &&
    equalBytes(subject.network, network)
  if (action !== 'attest' || !isOurs || !rights.includes('write')) {
    throw new CryptoError('FORGED', 'the attestation is of another device')
  }
  if (!equalBytes(signer, opened.inviter)) {
    throw new CryptoError('FORGED', 'the attestation is not by the inviter')
  }
  return attested
}

function openEnvelopes(received: Received, attested: MemberStatement): KeyTable {
  const { envelopes, drive } = received.opened
  if (!equalBytes(blake2bOfParts(envelopes), attested.envelopesHash)) {
    throw new CryptoError('FORGED', 'the drive keys are not those of the attestation')
  }
  const keys = new KeyTable()
  for (const envelope of envelopes) {
    const row = openDriveKey({ envelope, drive, keyPair: received.deviceKeys.box })
    keys.add(row)
    wipe(row.key)
  }
  // Throws when there is none for the drive.
  keys.get(keys.currentKeyId)
  return keys
}
