/**
 * From the key file to the keys, asking for the passphrase if it is sealed.
 *
 * @module
 */
import {
  decodeKeyFile,
  encodeKeyFile,
  keyFileIsSealed,
  type KeyFileContent
} from '../src/crypto/key-file.ts'
import { openDeviceName } from '../src/crypto/device-name.ts'
import { openMemberStatement } from '../src/crypto/member-statement.ts'
import type { DriveStatus } from './api.ts'
import type { Context } from './command.ts'
import type { Home } from './home.ts'
import { askPassphrase } from './passphrase.ts'
import { systemRandom } from './system-random.ts'

/**
 * Reads the key file of a home and opens it. Writes nothing.
 *
 * @throws {CryptoError} `WRONG_PASSPHRASE`, `MALFORMED`, `NEWER_FORMAT`; {GroveError}
 *   `PASSPHRASE` when one is needed and there is nobody to ask, `DAMAGED`
 */
export async function unlockKeys(home: Home, context: Context): Promise<KeyFileContent> {
  const bytes = await home.readKeyFile()
  if (!keyFileIsSealed(bytes)) return decodeKeyFile(bytes)
  const passphrase = await askPassphrase({
    environment: context.environment,
    keyboard: context.stdin,
    show: text => context.stderr.write(text)
  })
  try {
    return await decodeKeyFile(bytes, { passphrase })
  } finally {
    passphrase.fill(0)
  }
}

/**
 * What the key file says of drive and device; nothing when it is sealed, since nobody is asked
 * for a passphrase just to see the status.
 *
 * @throws {CryptoError}, {GroveError} as {@link unlockKeys}
 */
export async function readUnsealed(
  home: Home
): Promise<Partial<Pick<DriveStatus, 'drive' | 'device'>>> {
  const bytes = await home.readKeyFile()
  return keyFileIsSealed(bytes) ? {} : publicParts(await decodeKeyFile(bytes))
}

/** What may be shown of the keys. */
export function publicParts(content: KeyFileContent): Pick<DriveStatus, 'drive' | 'device'> {
  const key = Buffer.from(content.deviceKeys.signing.publicKey).toString('hex')
  return {
    drive: Buffer.from(content.drive).toString('hex'),
    device: { name: deviceNameOf(content), key }
  }
}

/** The keys in the clear, to hand to a daemon through a pipe; the caller wipes them. */
export function packKeys(content: KeyFileContent): Promise<Uint8Array> {
  return encodeKeyFile(content, { random: systemRandom })
}

/** What this device is called, as attested. */
export function deviceNameOf(content: KeyFileContent): string {
  const device = content.deviceKeys.signing.publicKey
  for (const bytes of content.statements.toReversed()) {
    const { action, subject, sealedName } = openMemberStatement(bytes)
    if (action !== 'attest' || Buffer.compare(subject.signing, device) !== 0) continue
    if (sealedName.length > 0)
      return openDeviceName({ sealed: sealedName, device, keys: content.keys })
  }
  return 'device'
}
