/**
 * A new person, device and drive: what `grove init` makes.
 *
 * The words exist here as the one string that is shown; the identity they stand for is wiped
 * before this returns. What remains of it is public: its key, its recovery key, and a signed
 * attestation of this device.
 *
 * @module
 */
import { DEVICE_NAME_BYTES_MAX, sealDeviceName } from '../src/crypto/device-name.ts'
import { DeviceKeys } from '../src/crypto/device-keys.ts'
import { sealDriveKey } from '../src/crypto/drive-key-envelope.ts'
import { Identity, proveDevice } from '../src/crypto/identity.ts'
import type { KeyFileContent } from '../src/crypto/key-file.ts'
import { KeyTable } from '../src/crypto/key-table.ts'
import { signLocatorStatement } from '../src/crypto/locator-statement.ts'
import { signMemberStatement } from '../src/crypto/member-statement.ts'
import type { Random } from '../src/crypto/random.ts'
import { generateWords } from '../src/crypto/recovery-words.ts'
import { HASH_BYTES, KEY_BYTES, PUBLIC_KEY_BYTES, blake2b } from '../src/crypto/sodium.ts'
import type { Clock, Timestamp } from '../src/sync/clock.ts'
import { ROOT_ID, type Operation } from '../src/sync/operation.ts'
import { GroveError } from './grove-error.ts'

/** Permission bits of a new drive's root directory. */
export const ROOT_MODE = 0o755

/** Whose the root directory is. */
export interface Owner {
  /** User. */
  readonly uid: number
  /** Group. */
  readonly gid: number
}

/** What a new drive starts with. */
export interface NewDrive {
  /** For the person to write down, and for nobody to keep. */
  readonly words: string
  /** For the key file. */
  readonly content: KeyFileContent
  /**
   * For the first entry of the operation log: the attestation, the sealed drive key, the secret
   * that recovery starts from, and the owner of the root directory.
   */
  readonly firstOperations: readonly Operation[]
}

/**
 * Makes a new drive in memory.
 *
 * @param input.deviceName - checked by {@link checkDeviceName}
 */
export async function makeNewDrive(input: {
  readonly deviceName: string
  readonly owner: Owner
  readonly random: Random
  readonly clock: Clock
}): Promise<NewDrive> {
  const { deviceName, owner, random, clock } = input
  const words = generateWords(random)
  const identity = await Identity.fromWords(words)
  try {
    const deviceKeys = DeviceKeys.generate(random)
    const keys = KeyTable.generate(random)
    const drive = random.bytes(PUBLIC_KEY_BYTES)
    const row = keys.get(keys.currentKeyId)
    const recipients = [deviceKeys.box.publicKey, identity.recovery.publicKey]
    const envelopes = recipients.map(recipient => sealDriveKey({ row, drive, recipient, random }))
    const time = clock.now()
    const issuedMs = time.sec * 1_000 + Math.floor(time.nsec / 1_000_000)
    const statement = signMemberStatement(
      {
        action: 'attest',
        listVersion: 1,
        previous: new Uint8Array(HASH_BYTES),
        identity: identity.signing.publicKey,
        subject: deviceKeys.publicKeys,
        rights: ['write', 'invite', 'release', 'audit'],
        issuedMs,
        envelopesHash: blake2b(Buffer.concat(envelopes)),
        cuts: [],
        sealedName: sealDeviceName({
          name: deviceName,
          device: deviceKeys.signing.publicKey,
          keys,
          random
        }),
        proof: proveDevice({
          device: deviceKeys.signing.publicKey,
          parent: identity.signing,
          timeMs: issuedMs
        })
      },
      identity.signing
    )
    const content = {
      deviceKeys,
      drive,
      identity: identity.signing.publicKey,
      recoveryKey: identity.recovery.publicKey,
      keys,
      indexKey: random.bytes(KEY_BYTES),
      logSeed: random.bytes(KEY_BYTES),
      statements: [statement]
    }
    const firstOperations: readonly Operation[] = [
      { type: 'statement', bytes: statement },
      ...envelopes.map(bytes => ({ type: 'envelope', bytes }) as const),
      { type: 'statement', bytes: signLocatorStatement(identity, 0) },
      rootAttributes(owner, time)
    ]
    return { words, content, firstOperations }
  } finally {
    identity.clear()
  }
}

/** Without this the root directory would be root's, and of 1970. */
function rootAttributes(owner: Owner, time: Timestamp): Operation {
  const place = { inode: ROOT_ID, base: ROOT_ID }
  return { type: 'setattr', ...place, ...owner, mode: ROOT_MODE, atime: time, mtime: time, time }
}

/**
 * Checks the name of a device.
 *
 * @throws {GroveError} `USAGE` when it is empty, too long or would not print
 */
export function checkDeviceName(name: string): string {
  const bytes = Buffer.byteLength(name)
  if (name.trim() === '' || bytes > DEVICE_NAME_BYTES_MAX)
    throw new GroveError(
      'USAGE',
      `a device's name has 1 to ${DEVICE_NAME_BYTES_MAX} bytes; choose another with --name`
    )
  if (/\p{Cc}/u.test(name))
    throw new GroveError('USAGE', "a device's name may not hold control characters")
  return name
}

/** A device's name from that of the machine, shortened to fit. */
export function defaultDeviceName(hostname: string): string {
  const clean = hostname.replace(/\p{Cc}/gu, '').trim()
  const characters = Array.from(clean)
  while (Buffer.byteLength(characters.join('')) > DEVICE_NAME_BYTES_MAX) characters.pop()
  return characters.join('') || 'device'
}
