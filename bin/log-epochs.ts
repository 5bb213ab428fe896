/**
 * The log epochs of this device: which pairs of logs it has written, oldest first.
 *
 * An epoch is a number and 16 random bytes. With the log seed of the key file they give the two
 * logs: their signing keys, and a statement by the device key whose hash stands in the log's
 * manifest, so that a peer can check whose log it is. Two copies of one home that go on apart
 * draw different bytes and so write different logs.
 *
 * The file holds nothing secret. It is written before the first entry of a new epoch, and an
 * epoch that has entries is never removed from it.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { deriveKey } from '../src/crypto/derive.ts'
import type { KeyFileContent } from '../src/crypto/key-file.ts'
import type { Random } from '../src/crypto/random.ts'
import { blake2b } from '../src/crypto/sodium.ts'
import { NO_PREVIOUS, encodeStatement, signStatement } from '../src/crypto/statement.ts'
import type { LogIdentity } from '../src/replication/core-slot.ts'
import { replaceFile } from './atomic-file.ts'
import { GroveError } from './grove-error.ts'

/** How many random bytes an epoch has. */
export const EPOCH_RANDOM_BYTES = 16

/** How many epochs a home may have. */
export const EPOCHS_MAX = 10_000

const VERSION = 1

/** One epoch. */
export interface LogEpoch {
  /** Its number, from 1; also the sequence of its statements. */
  readonly number: number
  /** {@link EPOCH_RANDOM_BYTES}, hexadecimal. */
  readonly random: string
}

/** What a log of an epoch holds. */
export type LogRole = 'operation' | 'content'

/** A log of an epoch and what proves whose it is. */
export interface EpochLog extends LogIdentity {
  /** The device's statement about it, encoded; its hash is the manifest's user data. */
  readonly statement: Uint8Array
}

/** Draws the epoch after `last`. */
export function nextEpoch(last: LogEpoch | undefined, random: Random): LogEpoch {
  return {
    number: (last?.number ?? 0) + 1,
    random: Buffer.from(random.bytes(EPOCH_RANDOM_BYTES)).toString('hex')
  }
}

/** What makes a log of an epoch. Always the same for the same keys and epoch. */
export function epochLog(
  keys: Pick<KeyFileContent, 'deviceKeys' | 'drive' | 'logSeed'>,
  epoch: LogEpoch,
  role: LogRole
): EpochLog {
  const random = Buffer.from(epoch.random, 'hex')
  const number = new Uint8Array(4)
  new DataView(number.buffer).setUint32(0, epoch.number, true)
  const context = Buffer.concat([keys.drive, number, random])
  const seed = deriveKey({ key: keys.logSeed, purpose: `log/${role}`, context })
  const statement = encodeStatement(
    signStatement(
      {
        domain: `log/${role}`,
        sequence: epoch.number,
        previous: NO_PREVIOUS,
        body: Buffer.concat([keys.drive, random])
      },
      keys.deviceKeys.signing
    )
  )
  return { seed, userData: blake2b(statement), statement }
}

/**
 * Reads the epochs of a home.
 *
 * @returns none when there is no file yet
 * @throws {GroveError} `DAMAGED`, `NEWER_FORMAT`
 */
export async function readEpochs(path: string): Promise<readonly LogEpoch[]> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw new GroveError('DAMAGED', `cannot read ${path}; restore it from a backup`, {
      cause: error
    })
  }
  const value = parseJson(text)
  const version = field(value, 'version')
  if (typeof version === 'number' && version > VERSION)
    throw new GroveError('NEWER_FORMAT', `${path} was made by a newer grove; update grove`)
  const epochs = field(value, 'epochs')
  if (version !== VERSION || !Array.isArray(epochs) || !epochs.every(isEpoch))
    throw new GroveError('DAMAGED', `${path} is damaged; restore it from a backup`)
  return epochs
}

/** Replaces the file; durable when this resolves. */
export async function writeEpochs(path: string, epochs: readonly LogEpoch[]): Promise<void> {
  if (epochs.length > EPOCHS_MAX)
    throw new GroveError('FAILED', `this home has more than ${EPOCHS_MAX} log epochs`)
  await replaceFile(path, Buffer.from(`${JSON.stringify({ version: VERSION, epochs })}\n`))
}

function isEpoch(value: unknown): value is LogEpoch {
  const random = field(value, 'random')
  const isRandom = typeof random === 'string' && /^[0-9a-f]{32}$/.test(random)
  const number = field(value, 'number')
  return isRandom && typeof number === 'number' && Number.isInteger(number) && number > 0
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
