/**
 * What devices tell each other about the logs there are.
 *
 * An announcement is a statement of a device about one of its epochs. It names the public keys of
 * its two logs, and carries the device's statement about each, whose hash is the user data of the
 * log's manifest. So device and log name each other: nobody can pass off a log as their own, nor
 * another's as that of a third, whoever passed the announcement on.
 *
 * Domain `log/pair`, sequence: the epoch. Body:
 *
 * | bytes | what |
 * |---|---|
 * | 32 | drive |
 * | 32 | public key of the operation log |
 * | 4 + n | length and statement `log/operation`: sequence the epoch, body begins with the drive |
 * | 32 | public key of the content log |
 * | 4 + n | length and statement `log/content` |
 *
 * @module
 */
import { ByteReader } from '../crypto/byte-reader.ts'
import { ByteWriter } from '../crypto/byte-writer.ts'
import { CryptoError } from '../crypto/crypto-error.ts'
import { blake2b, equalBytes, PUBLIC_KEY_BYTES, type KeyPair } from '../crypto/sodium.ts'
import {
  decodeStatement,
  encodeStatement,
  NO_PREVIOUS,
  signStatement,
  verifyStatement
} from '../crypto/statement.ts'
import type { LogKey } from '../sync/log.ts'
import { logManifest, logSigner, type LogIdentity, type RemoteLogIdentity } from './core-slot.ts'

const DOMAIN = 'log/pair'
const DRIVE_BYTES = 32

/** The longest statement about a log, in bytes. */
export const LOG_STATEMENT_BYTES_MAX = 512

/** The longest announcement, in bytes. */
export const ANNOUNCEMENT_BYTES_MAX = 2048

/** A log that was announced. */
export interface AnnouncedLog extends RemoteLogIdentity {
  /** Its name. */
  readonly key: LogKey
}

/** The two logs of one epoch of a device. */
export interface Announcement {
  /** The device's signing key as 64 lowercase hexadecimal digits. */
  readonly device: string
  /** The number of the epoch. */
  readonly epoch: number
  /** Its operations. */
  readonly operationLog: AnnouncedLog
  /** Its content. */
  readonly contentLog: AnnouncedLog
  /** The statement. */
  readonly bytes: Uint8Array
}

/** What makes a log of this device, with the device's statement about it. */
export interface StatedLog extends LogIdentity {
  /** The statement, encoded; its hash is the user data. */
  readonly statement: Uint8Array
}

/** What a device announces. */
export interface AnnouncedEpoch {
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** The number of the epoch. */
  readonly epoch: number
  /** What makes its operation log; only read. */
  readonly operationLog: StatedLog
  /** What makes its content log; only read. */
  readonly contentLog: StatedLog
}

/**
 * Announces the logs of an epoch. The same bytes for the same epoch.
 *
 * @param signing - the device's signing keys
 */
export function signAnnouncement(epoch: AnnouncedEpoch, signing: KeyPair): Uint8Array {
  const logs = [epoch.operationLog, epoch.contentLog]
  const statementBytes = logs.reduce((sum, { statement }) => sum + statement.length, 0)
  const size = DRIVE_BYTES + logs.length * (PUBLIC_KEY_BYTES + 4) + statementBytes
  const body = new ByteWriter(new Uint8Array(size)).put(epoch.drive, DRIVE_BYTES)
  for (const log of logs) {
    const { keyPair } = logSigner(log)
    keyPair.secretKey.fill(0)
    body.put(keyPair.publicKey, PUBLIC_KEY_BYTES).u32(log.statement.length).put(log.statement)
  }
  const content = { domain: DOMAIN, sequence: epoch.epoch, previous: NO_PREVIOUS, body: body.end() }
  return encodeStatement(signStatement(content, signing))
}

/**
 * Opens an announcement and proves that its signer made it. Whether the signer is a member is for
 * the caller to decide.
 *
 * @param bytes - from anyone; copied
 * @param drive - the drive that it must be about, 32 bytes
 * @throws {CryptoError} `TRUNCATED`, `MALFORMED`, `NEWER_FORMAT`, `FORGED`
 */
export function openAnnouncement(bytes: Uint8Array, drive: Uint8Array): Announcement {
  const statement = decodeStatement(bytes)
  verifyStatement(statement, { domain: DOMAIN })
  const reader = new ByteReader(statement.body)
  if (!equalBytes(reader.view(DRIVE_BYTES), drive))
    throw new CryptoError('FORGED', 'an announcement of another drive')
  const of = { drive, device: statement.signer, epoch: statement.sequence }
  const operationLog = announcedLog(reader, { ...of, domain: 'log/operation' })
  const contentLog = announcedLog(reader, { ...of, domain: 'log/content' })
  reader.end()
  if (operationLog.key === contentLog.key)
    throw new CryptoError('MALFORMED', 'an epoch has two logs')
  return {
    device: Buffer.from(statement.signer).toString('hex'),
    epoch: statement.sequence,
    operationLog,
    contentLog,
    bytes: bytes.slice()
  }
}

function announcedLog(
  reader: ByteReader,
  of: {
    readonly domain: string
    readonly drive: Uint8Array
    readonly device: Uint8Array
    readonly epoch: number
  }
): AnnouncedLog {
  const publicKey = reader.copy(PUBLIC_KEY_BYTES)
  const bytes = reader.view(reader.count(LOG_STATEMENT_BYTES_MAX))
  const statement = decodeStatement(bytes)
  verifyStatement(statement, { domain: of.domain, signer: of.device })
  const isOfDrive = equalBytes(statement.body.subarray(0, DRIVE_BYTES), of.drive)
  if (!isOfDrive || statement.sequence !== of.epoch)
    throw new CryptoError('FORGED', 'a log of another drive or epoch')
  const userData = blake2b(bytes)
  return { publicKey, userData, key: logManifest({ publicKey, userData }).key }
}
