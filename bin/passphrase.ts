/**
 * Passphrases: from the file that `GROVE_PASSPHRASE_FILE` names, or typed without echo.
 *
 * A passphrase is bytes from the keyboard to the key derivation and never a string, so that it
 * can be wiped by whoever asked for it; it is never taken from the command line.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { GroveError } from './grove-error.ts'
import type { Environment } from './home.ts'
import { LineReader, type Keyboard } from './line-reader.ts'

/** The longest passphrase, in bytes. */
export const PASSPHRASE_BYTES_MAX = 1024

const LINE_FEED = 0x0a
const RETURN = 0x0d

/** Where passphrases come from. */
export interface PassphraseSource {
  /** Names the file, if there is one. */
  readonly environment: Environment
  /** Standard input. */
  readonly keyboard: Keyboard
  /** Shows a prompt; standard error, so that output can be piped. */
  readonly show: (text: string) => void
}

/**
 * Gets the passphrase of an existing key file.
 *
 * @returns bytes for the caller to wipe
 * @throws {GroveError} `PASSPHRASE` when there is no file and no terminal
 */
export async function askPassphrase(source: PassphraseSource): Promise<Uint8Array> {
  const fromFile = await passphraseFromFile(source.environment)
  return fromFile ?? typed(readerOf(source), 'Passphrase: ')
}

/**
 * Gets a new passphrase; typed twice on a terminal.
 *
 * @returns bytes for the caller to wipe
 * @throws {GroveError} `PASSPHRASE` when it is empty, or the two differ
 */
export async function chooseNewPassphrase(source: PassphraseSource): Promise<Uint8Array> {
  const fromFile = await passphraseFromFile(source.environment)
  if (fromFile !== undefined) return fromFile
  const reader = readerOf(source)
  const first = await typed(reader, 'New passphrase: ')
  const second = await typed(reader, 'The same again: ')
  const equal = Buffer.compare(first, second) === 0
  second.fill(0)
  if (equal) return first
  first.fill(0)
  throw new GroveError('PASSPHRASE', 'the two passphrases differ; try again')
}

/** Whether the environment names a passphrase file. */
export function hasPassphraseFile(environment: Environment): boolean {
  return (environment['GROVE_PASSPHRASE_FILE'] ?? '') !== ''
}

async function passphraseFromFile(environment: Environment): Promise<Uint8Array | undefined> {
  const path = environment['GROVE_PASSPHRASE_FILE']
  if (path === undefined || path === '') return undefined
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (error) {
    throw new GroveError(
      'PASSPHRASE',
      `cannot read the passphrase file ${path}; mend GROVE_PASSPHRASE_FILE`,
      { cause: error }
    )
  }
  let end = bytes.length
  if (bytes[end - 1] === LINE_FEED) end--
  if (bytes[end - 1] === RETURN) end--
  const passphrase = Uint8Array.prototype.slice.call(bytes, 0, end)
  bytes.fill(0)
  return checked(passphrase, `the passphrase file ${path}`)
}

/** Reads a passphrase from the terminal. */
async function typed(reader: LineReader, prompt: string): Promise<Uint8Array> {
  return checked(await reader.readHidden(prompt), 'the passphrase')
}

function readerOf({ keyboard, show }: PassphraseSource): LineReader {
  if (keyboard.isTTY !== true)
    throw new GroveError(
      'PASSPHRASE',
      'a passphrase is needed and there is no terminal to ask on; set GROVE_PASSPHRASE_FILE to a file that holds it'
    )
  return new LineReader({ keyboard, show, lineBytesMax: PASSPHRASE_BYTES_MAX + 1, cancelled })
}

function checked(passphrase: Uint8Array, what: string): Uint8Array {
  if (passphrase.length === 0) throw new GroveError('PASSPHRASE', `${what} is empty`)
  if (passphrase.length <= PASSPHRASE_BYTES_MAX) return passphrase
  passphrase.fill(0)
  throw new GroveError('PASSPHRASE', `${what} is longer than ${PASSPHRASE_BYTES_MAX} bytes`)
}

function cancelled(): GroveError {
  return new GroveError('PASSPHRASE', 'no passphrase was given')
}
