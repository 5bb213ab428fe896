/**
 * Whether a drive that was recovered with words alone has heard from all of its holders. Until it
 * has, or the person accepts that some will not answer, a holder may have history that nobody
 * else has: so nothing is released, collected or lowered.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { replaceFile } from './atomic-file.ts'
import { GroveError } from './grove-error.ts'
import type { Home } from './home.ts'

const VERSION = 1

/** What is remembered of a recovery. */
export interface RecoveryState {
  /** Network keys of the holders that have not answered, as hexadecimal digits. */
  readonly pending: readonly string[]
  /** Whether the person goes on without them. */
  readonly isAccepted: boolean
}

/**
 * Whether nothing is waited for. A drive that was not recovered waits for nothing.
 *
 * @throws {GroveError} `DAMAGED`, `NEWER_FORMAT`
 */
export async function isRecoveryComplete(home: Home): Promise<boolean> {
  const state = await readRecoveryState(home)
  return state === undefined || state.isAccepted || state.pending.length === 0
}

/**
 * Reads what is remembered.
 *
 * @returns undefined when the drive was not recovered
 * @throws {GroveError} `DAMAGED`, `NEWER_FORMAT`
 */
export async function readRecoveryState(home: Home): Promise<RecoveryState | undefined> {
  const path = home.recoveryFile
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw damaged(path, error)
  }
  const { version, pending, isAccepted } = fieldsOf(text, path)
  if (typeof version === 'number' && version > VERSION)
    throw new GroveError('NEWER_FORMAT', `${path} was made by a newer grove; update grove`)
  const isSound = version === VERSION && isTexts(pending) && typeof isAccepted === 'boolean'
  if (!isSound) throw damaged(path)
  return { pending, isAccepted }
}

/** Remembers it; durable when this resolves. */
export async function writeRecoveryState(home: Home, state: RecoveryState): Promise<void> {
  const { pending, isAccepted } = state
  const text = `${JSON.stringify({ version: VERSION, pending, isAccepted })}\n`
  await replaceFile(home.recoveryFile, Buffer.from(text))
}

/**
 * Says that a holder handed over its summaries, and that all they name is known here.
 *
 * @param network - its network key as hexadecimal digits
 */
export async function holderAnswered(home: Home, network: string): Promise<void> {
  const state = await readRecoveryState(home)
  if (state === undefined || !state.pending.includes(network)) return
  const pending = state.pending.filter(each => each !== network)
  await writeRecoveryState(home, { ...state, pending })
}

/**
 * Goes on without the holders that have not answered.
 *
 * @returns how many they are
 * @throws {GroveError} `DAMAGED`, `NEWER_FORMAT`
 */
export async function acceptRecovery(home: Home): Promise<number> {
  const state = await readRecoveryState(home)
  if (state === undefined || state.isAccepted || state.pending.length === 0) return 0
  await writeRecoveryState(home, { ...state, isAccepted: true })
  return state.pending.length
}

function fieldsOf(text: string, path: string): Readonly<Record<string, unknown>> {
  try {
    return (JSON.parse(text) ?? {}) as Readonly<Record<string, unknown>>
  } catch (error) {
    throw damaged(path, error)
  }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(each => typeof each === 'string')
}

function damaged(path: string, cause?: unknown): GroveError {
  return new GroveError('DAMAGED', `${path} is damaged; restore it from a backup`, { cause })
}
