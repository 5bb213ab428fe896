/**
 * Devices that make real member statements, of one person with the same words in every run.
 *
 * @module
 */
import { DeviceKeys } from '../../src/crypto/device-keys.ts'
import { sealDeviceName } from '../../src/crypto/device-name.ts'
import { Identity, proveDevice } from '../../src/crypto/identity.ts'
import { KeyTable } from '../../src/crypto/key-table.ts'
import {
  openMemberStatement,
  signMemberStatement,
  type MemberAction,
  type MemberContent
} from '../../src/crypto/member-statement.ts'
import { blake2b, type KeyPair } from '../../src/crypto/sodium.ts'
import { NO_PREVIOUS } from '../../src/crypto/statement.ts'
import { SeededRandom } from './seeded-random.ts'

/** When all statements are made, in milliseconds since 1970. */
export const STATED_MS = 1_790_000_000_000

const WORDS = [`${'abandon '.repeat(23)}art`, `${'zoo '.repeat(23)}vote`]

/** A person with a drive key. */
export interface Person {
  readonly identity: Identity
  readonly keys: KeyTable
}

/** Makes a person; another for each number. */
export async function makePerson(number = 0): Promise<Person> {
  const words = WORDS[number]
  if (words === undefined) throw new RangeError(`there are ${WORDS.length} persons`)
  const identity = await Identity.fromWords(words)
  return { identity, keys: KeyTable.generate(new SeededRandom(1000 + number)) }
}

/** What to say, and after what. */
export interface Saying {
  /** Attests unless given. */
  readonly action?: MemberAction
  /** Whom it is about. */
  readonly about: DeviceKeys
  /** The statement it follows. */
  readonly after?: Uint8Array
  /** The speaker's own attestation; none for the identity. */
  readonly own?: Uint8Array
  /** The name of the device. */
  readonly name?: string
  /** What else to say. */
  readonly content?: Partial<MemberContent>
}

/** A device's keys; others for each number. */
export function deviceOf(number: number): DeviceKeys {
  return DeviceKeys.generate(new SeededRandom(number))
}

/** Makes a statement by `speaker`. */
export function state({ identity, keys }: Person, speaker: KeyPair, saying: Saying): Uint8Array {
  const { about, after, own, name, action = 'attest' } = saying
  const device = about.signing.publicKey
  const parentProof = own === undefined ? undefined : openMemberStatement(own).proof
  const listVersion = after === undefined ? 1 : openMemberStatement(after).listVersion + 1
  const random = new SeededRandom(listVersion)
  const proof = () =>
    proveDevice({
      device,
      parent: speaker,
      timeMs: STATED_MS,
      ...(parentProof !== undefined && { parentProof })
    })
  return signMemberStatement(
    {
      action,
      listVersion,
      previous: after === undefined ? NO_PREVIOUS : blake2b(after),
      identity: identity.signing.publicKey,
      subject: about.publicKeys,
      rights: ['write', 'invite', 'release', 'audit'],
      issuedMs: STATED_MS,
      envelopesHash: NO_PREVIOUS,
      cuts: [],
      sealedName:
        name === undefined ? new Uint8Array(0) : sealDeviceName({ name, device, keys, random }),
      proof: action === 'attest' ? proof() : new Uint8Array(0),
      ...saying.content
    },
    speaker
  )
}
