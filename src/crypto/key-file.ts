/**
 * The bytes of the device's key file: everything this device needs to open its drive.
 *
 * | bytes | what |
 * |---|---|
 * | 8 | `grovekey` |
 * | 1 | version, 1 |
 * | 1 | protection: 0 none, 1 passphrase by Argon2id and XChaCha20-Poly1305 |
 * | 2 | flags, all critical, none known |
 * | 4 + 4 + 16 + 24 | only with a passphrase: passes, memory in KiB, salt, nonce |
 * | n | content, or its ciphertext and tag with all bytes before as associated data |
 * | 32 | BLAKE2b-256 of all bytes before: tells damage from a wrong passphrase |
 *
 * Content: device keys (97 B), drive id, identity, recovery key, index key, log seed (32 B
 * each), length and key table, count and members' statements with their lengths.
 *
 * The caller owns the disk: it writes the file with mode 0600, whole or not at all.
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { CryptoError } from './crypto-error.ts'
import { asciiBytes } from './derive.ts'
import { DEVICE_KEYS_BYTES, DeviceKeys } from './device-keys.ts'
import { KeyTable } from './key-table.ts'
import {
  HASH_BYTES,
  KEY_BYTES,
  NONCE_BYTES,
  PUBLIC_KEY_BYTES,
  SALT_BYTES,
  TAG_BYTES,
  argon2id,
  blake2b,
  decrypt,
  encrypt,
  equalBytes,
  secureBytes,
  secureCopy,
  wipe
} from './sodium.ts'
import type { Random } from './random.ts'

/** The largest key file, in bytes. */
export const KEY_FILE_BYTES_MAX = 16 * 1024 * 1024
/** How many members' statements a key file holds at most. */
export const KEY_FILE_STATEMENTS_MAX = 65_536
/** Passes over the memory that a new passphrase costs (libsodium's "moderate"). */
export const PASSPHRASE_OPERATIONS = 3
/** Memory that a new passphrase costs, in bytes (libsodium's "moderate"). */
export const PASSPHRASE_MEMORY_BYTES = 256 * 1024 * 1024
/** The most passes a file may ask for: a file must not be able to stop the machine. */
export const PASSPHRASE_OPERATIONS_MAX = 16
/** The most memory a file may ask for, in bytes. */
export const PASSPHRASE_MEMORY_BYTES_MAX = 1024 * 1024 * 1024

const MAGIC = asciiBytes('grovekey')
const VERSION = 1
const PROTECTION_NONE = 0
const PROTECTION_PASSPHRASE = 1
const HEADER_BYTES = 12
const COST_BYTES = 8 + SALT_BYTES + NONCE_BYTES
const MEMORY_BYTES_MIN = 8 * 1024
const FIXED_CONTENT_BYTES = DEVICE_KEYS_BYTES + 3 * PUBLIC_KEY_BYTES + 2 * KEY_BYTES + 8

/** What a key file holds. */
export interface KeyFileContent {
  /** This device's key pairs. */
  readonly deviceKeys: DeviceKeys
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** What new drive keys are sealed to besides the devices; X25519, 32 bytes. */
  readonly recoveryKey: Uint8Array
  /** The drive keys. */
  readonly keys: KeyTable
  /** Seals the index; 32 secret bytes. */
  readonly indexKey: Uint8Array
  /** The key pairs of this device's logs are derived from it; 32 secret bytes. */
  readonly logSeed: Uint8Array
  /** Encoded member statements, oldest first. */
  readonly statements: readonly Uint8Array[]
}

/** What a passphrase costs to try. */
export interface PassphraseCost {
  /** Passes over the memory. */
  readonly operations: number
  /** Memory, in bytes; a multiple of 1,024. */
  readonly memoryBytes: number
}

const MODERATE_COST: PassphraseCost = {
  operations: PASSPHRASE_OPERATIONS,
  memoryBytes: PASSPHRASE_MEMORY_BYTES
}

/** Whether the file needs a passphrase. @throws {CryptoError} `MALFORMED`, `NEWER_FORMAT` */
export function keyFileIsSealed(bytes: Uint8Array): boolean {
  return readHeader(bytes) === PROTECTION_PASSPHRASE
}

/**
 * Encodes a key file.
 *
 * @param options.passphrase - seals the file; at least 1 byte; only read, the caller wipes it
 * @param options.cost - for tests and small machines; the moderate cost otherwise
 * @returns the bytes of the file; secret when there is no passphrase
 */
export async function encodeKeyFile(
  content: KeyFileContent,
  options: {
    readonly passphrase?: Uint8Array
    readonly random: Random
    readonly cost?: PassphraseCost
  }
): Promise<Uint8Array> {
  const { passphrase, random, cost = MODERATE_COST } = options
  const plain = encodeContent(content)
  const bytes =
    passphrase === undefined
      ? protectedByNothing(plain)
      : await protectedByPassphrase({ plain, passphrase, random, cost })
  wipe(plain)
  const hashed = bytes.subarray(0, bytes.length - HASH_BYTES)
  bytes.set(blake2b(hashed), hashed.length)
  return bytes
}

/**
 * Decodes a key file.
 *
 * @param bytes - only read; nothing of them is kept
 * @param options.passphrase - for a sealed file; ignored for one that is not
 * @returns the content; its secrets are in locked memory
 * @throws {CryptoError} `MALFORMED` when it is damaged or no key file, `NEWER_FORMAT`,
 *   `WRONG_PASSPHRASE` when the passphrase is wrong or missing
 */
export async function decodeKeyFile(
  bytes: Uint8Array,
  options: { readonly passphrase?: Uint8Array } = {}
): Promise<KeyFileContent> {
  const protection = readHeader(bytes)
  const hashed = bytes.subarray(0, bytes.length - HASH_BYTES)
  if (!equalBytes(blake2b(hashed), bytes.subarray(hashed.length))) {
    throw new CryptoError('MALFORMED', 'the key file is damaged')
  }
  const plain =
    protection === PROTECTION_NONE
      ? hashed.subarray(HEADER_BYTES)
      : await openWithPassphrase(hashed, options.passphrase)
  try {
    return decodeContent(plain)
  } catch (cause) {
    if (cause instanceof CryptoError && cause.code !== 'NEWER_FORMAT') {
      throw new CryptoError('MALFORMED', 'the content of the key file does not parse', { cause })
    }
    throw cause
  } finally {
    if (protection !== PROTECTION_NONE) wipe(plain)
  }
}

/** Checks size, name, version and flags and returns the protection. */
function readHeader(bytes: Uint8Array): number {
  if (bytes.length > KEY_FILE_BYTES_MAX)
    throw new CryptoError('MALFORMED', 'no key file: too large')
  if (bytes.length < HEADER_BYTES + HASH_BYTES) {
    throw new CryptoError('MALFORMED', 'no key file: too small')
  }
  const reader = new ByteReader(bytes)
  if (!equalBytes(reader.view(MAGIC.length), MAGIC)) {
    throw new CryptoError('MALFORMED', 'no key file')
  }
  const [version, protection, flags] = [reader.u8(), reader.u8(), reader.u16()]
  if (version === 0) throw new CryptoError('MALFORMED', 'a key file without a version')
  if (version > VERSION) throw new CryptoError('NEWER_FORMAT', `key file version ${version}`)
  if (flags !== 0) throw new CryptoError('NEWER_FORMAT', `key file with unknown flags ${flags}`)
  if (protection > PROTECTION_PASSPHRASE) {
    throw new CryptoError('NEWER_FORMAT', `key file with unknown protection ${protection}`)
  }
  return protection
}

function writeHeader(size: number, protection: number): ByteWriter {
  if (size > KEY_FILE_BYTES_MAX) throw new RangeError('the key file is too large')
  return new ByteWriter(new Uint8Array(size)).put(MAGIC).u8(VERSION).u8(protection).u16(0)
}

function protectedByNothing(plain: Uint8Array): Uint8Array {
  const size = HEADER_BYTES + plain.length + HASH_BYTES
  return writeHeader(size, PROTECTION_NONE).put(plain).bytes
}

async function protectedByPassphrase(input: {
  readonly plain: Uint8Array
  readonly passphrase: Uint8Array
  readonly random: Random
  readonly cost: PassphraseCost
}): Promise<Uint8Array> {
  const { plain, passphrase, random, cost } = input
  if (passphrase.length === 0) throw new RangeError('the passphrase is empty')
  if (!isAffordable(cost)) throw new RangeError('the cost of the passphrase is out of bounds')
  const salt = random.bytes(SALT_BYTES)
  const nonce = random.bytes(NONCE_BYTES)
  const start = HEADER_BYTES + COST_BYTES
  const end = start + plain.length + TAG_BYTES
  const writer = writeHeader(end + HASH_BYTES, PROTECTION_PASSPHRASE)
  writer
    .u32(cost.operations)
    .u32(cost.memoryBytes / 1024)
    .put(salt)
    .put(nonce)
  const { bytes } = writer
  const key = await argon2id({ passphrase, salt, ...cost })
  const into = bytes.subarray(start, end)
  encrypt({ plain, into, associated: bytes.subarray(0, start), nonce, key })
  wipe(key)
  return bytes
}

/** Opens sealed content into locked memory. */
async function openWithPassphrase(
  hashed: Uint8Array,
  passphrase: Uint8Array | undefined
): Promise<Uint8Array> {
  const start = HEADER_BYTES + COST_BYTES
  if (hashed.length < start + TAG_BYTES) throw new CryptoError('MALFORMED', 'a key file too small')
  const reader = new ByteReader(hashed)
  reader.view(HEADER_BYTES)
  const cost = { operations: reader.u32(), memoryBytes: reader.u32() * 1024 }
  if (!isAffordable(cost)) {
    throw new CryptoError('MALFORMED', 'the key file asks for too much work or memory')
  }
  const [salt, nonce] = [reader.view(SALT_BYTES), reader.view(NONCE_BYTES)]
  if (passphrase === undefined || passphrase.length === 0) {
    throw new CryptoError('WRONG_PASSPHRASE', 'the key file needs a passphrase')
  }
  const key = await argon2id({ passphrase, salt, ...cost })
  const sealed = hashed.subarray(start)
  const plain = secureBytes(sealed.length - TAG_BYTES)
  const associated = hashed.subarray(0, start)
  const genuine = decrypt({ sealed, into: plain, associated, nonce, key })
  wipe(key)
  if (!genuine) throw new CryptoError('WRONG_PASSPHRASE', 'the passphrase is wrong')
  return plain
}

function isAffordable({ operations, memoryBytes }: PassphraseCost): boolean {
  if (!Number.isInteger(operations) || !Number.isInteger(memoryBytes / 1024)) return false
  if (operations < 1 || operations > PASSPHRASE_OPERATIONS_MAX) return false
  return memoryBytes >= MEMORY_BYTES_MIN && memoryBytes <= PASSPHRASE_MEMORY_BYTES_MAX
}

/** The content in locked memory, so that no plain copy outlives the sealing. */
function encodeContent(content: KeyFileContent): Uint8Array {
  const { statements } = content
  if (statements.length > KEY_FILE_STATEMENTS_MAX) throw new RangeError('too many statements')
  const table = content.keys.encode()
  const deviceKeys = content.deviceKeys.encode()
  const size = statements.reduce(
    (sum, statement) => sum + 4 + statement.length,
    FIXED_CONTENT_BYTES + table.length
  )
  const writer = new ByteWriter(secureBytes(size)).put(deviceKeys, DEVICE_KEYS_BYTES)
  for (const key of [content.drive, content.identity, content.recoveryKey]) {
    writer.put(key, PUBLIC_KEY_BYTES)
  }
  writer.put(content.indexKey, KEY_BYTES).put(content.logSeed, KEY_BYTES)
  writer.u32(table.length).put(table).u32(statements.length)
  for (const statement of statements) writer.u32(statement.length).put(statement)
  wipe(table)
  wipe(deviceKeys)
  return writer.end()
}

function decodeContent(plain: Uint8Array): KeyFileContent {
  const reader = new ByteReader(plain)
  const content = {
    deviceKeys: DeviceKeys.decode(reader.view(DEVICE_KEYS_BYTES)),
    drive: reader.copy(PUBLIC_KEY_BYTES),
    identity: reader.copy(PUBLIC_KEY_BYTES),
    recoveryKey: reader.copy(PUBLIC_KEY_BYTES),
    indexKey: secureCopy(reader.view(KEY_BYTES)),
    logSeed: secureCopy(reader.view(KEY_BYTES)),
    keys: KeyTable.decode(reader.view(reader.count(KEY_FILE_BYTES_MAX)))
  }
  const statements: Uint8Array[] = []
  for (let count = reader.count(KEY_FILE_STATEMENTS_MAX); count > 0; count--) {
    statements.push(reader.copy(reader.count(KEY_FILE_BYTES_MAX)))
  }
  reader.end()
  return { ...content, statements }
}
