/**
 * What `grove config` sets: a handful of named settings of this device, kept as text in the
 * home and checked whenever they are read or changed.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { replaceFile } from './atomic-file.ts'
import { GroveError } from './grove-error.ts'
import { parseSize } from './parse-size.ts'

/** The longest `history.keep`: a hundred years, in milliseconds. */
export const HISTORY_KEEP_MS_MAX = 100 * 365 * 86_400_000

/** The shortest `custody.grace`, in milliseconds. */
export const GRACE_MS_MIN = 1_000
/** The longest `custody.grace`, in milliseconds: who is away for so long is gone. */
export const GRACE_MS_MAX = 30 * 86_400_000
/** The least `custody.bandwidth` besides 0, in bytes per second. */
export const BANDWIDTH_MIN = 1_000
/** The largest `custody.audit`, in challenges per holder and hour. */
export const AUDITS_PER_HOUR_MAX = 100_000

/** The names of the settings. */
export type SettingName =
  | 'history.keep'
  | 'content'
  | 'custody.grace'
  | 'custody.bandwidth'
  | 'custody.audit'
  | 'custody.share'

/** What of the other devices' content is kept here: all of it, or what was read. */
export type ContentPolicy = 'all' | 'on-demand'

/** All settings, each with a value. */
export type Settings = Readonly<Record<SettingName, string>>

/** How copies are looked after. */
export interface CustodySettings {
  /** How long a computer may be away before its copies stop counting, in milliseconds. */
  readonly graceMs: number
  /** How fast copies are made again, in bytes per second; infinite without a bound. */
  readonly bandwidth: number
  /** How many challenges each computer is sent, per hour. */
  readonly auditsPerHour: number
  /** The largest share of a drive on one computer while others have room, up to 1. */
  readonly shareMax: number
}

const DEFAULTS: Settings = {
  'history.keep': '24h',
  content: 'all',
  'custody.grace': '1h',
  'custody.bandwidth': '0',
  'custody.audit': '64',
  'custody.share': '60'
}

/** Each checks a value, and throws `USAGE`. */
const CHECKS: Readonly<Record<SettingName, (value: string) => unknown>> = {
  'history.keep': parseDuration,
  content: parseContentPolicy,
  'custody.grace': parseGrace,
  'custody.bandwidth': parseBandwidth,
  'custody.audit': parseAudit,
  'custody.share': parseShare
}

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000
}

/** All names, in the order in which they are shown. */
export const SETTING_NAMES = Object.keys(DEFAULTS) as readonly SettingName[]

/** Checks the name of a setting. @throws {GroveError} `USAGE` */
export function settingName(text: string): SettingName {
  const name = SETTING_NAMES.find(each => each === text)
  if (name !== undefined) return name
  throw new GroveError(
    'USAGE',
    `there is no setting "${text}"; the settings are ${SETTING_NAMES.join(', ')}`
  )
}

/** Checks the value of a setting. @throws {GroveError} `USAGE` */
export function checkSetting(name: SettingName, value: string): void {
  CHECKS[name](value)
}

/**
 * Reads the settings; what was never set has its default.
 *
 * @throws {GroveError} `DAMAGED` when the file makes no sense
 */
export async function readSettings(path: string): Promise<Settings> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return DEFAULTS
    throw new GroveError('FAILED', `cannot read the settings ${path}`, { cause: error })
  }
  try {
    return parseSettings(text)
  } catch (error) {
    throw new GroveError(
      'DAMAGED',
      `the settings ${path} make no sense; mend the file or delete it`,
      { cause: error }
    )
  }
}

/**
 * Changes one setting, durably.
 *
 * @throws {GroveError} `USAGE` when the value makes no sense; then nothing changed
 */
export async function writeSetting(
  path: string,
  change: { readonly name: SettingName; readonly value: string }
): Promise<Settings> {
  checkSetting(change.name, change.value)
  const settings = { ...(await readSettings(path)), [change.name]: change.value }
  await replaceFile(path, Buffer.from(`${JSON.stringify(settings, undefined, 2)}\n`))
  return settings
}

/**
 * Parses a length of time: `0`, or a whole number and one of s, m, h, d.
 *
 * @returns milliseconds, at most {@link HISTORY_KEEP_MS_MAX}
 * @throws {GroveError} `USAGE`
 */
export function parseDuration(text: string): number {
  const [, digits, unit] = /^(\d{1,12})([smhd]?)$/.exec(text) ?? []
  const factor = UNIT_MS[unit ?? '']
  const ms = digits === undefined ? Number.NaN : Number(digits) * (factor ?? Number.NaN)
  if (Number(digits) === 0) return 0
  if (ms >= 0 && ms <= HISTORY_KEEP_MS_MAX) return ms
  throw new GroveError(
    'USAGE',
    `"${text}" is no length of time; write 0, or a number with s, m, h or d, as in 24h`
  )
}

/** Parses the setting `content`. @throws {GroveError} `USAGE` */
export function parseContentPolicy(text: string): ContentPolicy {
  if (text === 'all' || text === 'on-demand') return text
  throw new GroveError(
    'USAGE',
    `"${text}" is not how content can be kept; write all, or on-demand to fetch what is read`
  )
}

/** What the settings say about copies. */
export function custodySettings(settings: Settings): CustodySettings {
  return {
    graceMs: parseGrace(settings['custody.grace']),
    bandwidth: parseBandwidth(settings['custody.bandwidth']),
    auditsPerHour: parseAudit(settings['custody.audit']),
    shareMax: parseShare(settings['custody.share']) / 100
  }
}

function parseGrace(text: string): number {
  const ms = parseDuration(text)
  if (ms >= GRACE_MS_MIN && ms <= GRACE_MS_MAX) return ms
  throw new GroveError('USAGE', `a computer may be away for 1s to 30d, not ${text}`)
}

function parseBandwidth(text: string): number {
  const bytes = parseSize(text)
  if (bytes === 0) return Number.POSITIVE_INFINITY
  if (bytes >= BANDWIDTH_MIN) return bytes
  throw new GroveError('USAGE', 'write at least 1kB (for each second), or 0 for no bound')
}

function parseAudit(text: string): number {
  return wholeNumber(text, AUDITS_PER_HOUR_MAX, 'challenges an hour')
}

function parseShare(text: string): number {
  return wholeNumber(text, 100, 'percent')
}

function wholeNumber(text: string, max: number, what: string): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (number >= 1 && number <= max) return number
  throw new GroveError('USAGE', `write a whole number of ${what}, from 1 to ${max}`)
}

function parseSettings(text: string): Settings {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null) throw new TypeError('not an object')
  const settings = { ...DEFAULTS }
  for (const name of SETTING_NAMES) {
    const set: unknown = Reflect.get(value, name)
    if (set === undefined) continue
    if (typeof set !== 'string') throw new TypeError('not a text')
    checkSetting(name, set)
    settings[name] = set
  }
  return settings
}
