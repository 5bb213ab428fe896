/**
 * What `grove host` was told, kept in the home so that it need not be said again.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { isAbsolute } from 'node:path'
import { encodeShortText } from '../src/crypto/short-text.ts'
import { replaceFile } from './atomic-file.ts'
import { GroveError } from './grove-error.ts'
import { SIZE_BYTES_MAX } from './parse-size.ts'

/** The least space that is worth a holder, in bytes. */
export const SPACE_BYTES_MIN = 1_000_000

/** How many labels a holder takes. */
export const LABELS_MAX = 32

/** The most that may be asked for as a bound, in GiB times days: a PB for 100 years, about. */
export const IMBALANCE_GIB_DAYS_MAX = 40_000_000_000

/**
 * By how much somebody may be behind with what they keep in return: so many GiB times days, for
 * everybody; `none`, without a bound; or `generous`, so much that it only matters when the disk is
 * nearly full, and only for those whom the owner gave a name.
 */
export type ImbalanceSetting = number | 'generous' | 'none'

/** What a holder is and what it gives. */
export interface HolderSettings {
  /** How many bytes it keeps for everybody together. */
  readonly spaceBytes: number
  /** What it calls itself. */
  readonly name: string
  /** Where it stands, in its owner's words; empty when they said nothing. */
  readonly site: string
  /** Its owner's notes about it. */
  readonly labels: Readonly<Record<string, string>>
  /** By how much others may be behind. */
  readonly imbalance: ImbalanceSetting
  /** The home of the owner's drive on this computer; empty for the usual place. */
  readonly drive: string
}

/** What is to change; what is absent stays. */
export type HolderSettingsChange = Partial<HolderSettings>

/**
 * Reads the settings.
 *
 * @returns undefined when there are none yet
 * @throws {GroveError} `DAMAGED` when the file makes no sense
 */
export async function readHolderSettings(path: string): Promise<HolderSettings | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw damaged(path, error)
  }
  try {
    const kept = JSON.parse(text) as Record<string, unknown>
    const { spaceBytes, name, site, labels, imbalance = 'generous', drive = '' } = kept
    const settings = { spaceBytes, name, site, labels, imbalance, drive }
    return checkHolderSettings(settings as HolderSettings)
  } catch (error) {
    throw damaged(path, error)
  }
}

/**
 * Applies a change to what was said before and keeps it.
 *
 * @throws {GroveError} `USAGE` when it makes no sense, or nobody ever said how much space
 */
export async function changeHolderSettings(
  path: string,
  change: HolderSettingsChange
): Promise<HolderSettings> {
  const before = await readHolderSettings(path)
  const defaults = {
    ...{ spaceBytes: 0, name: hostName(), site: '', labels: {} },
    ...{ imbalance: 'generous' as const, drive: '' }
  }
  if (before === undefined && change.spaceBytes === undefined)
    throw new GroveError('USAGE', 'say how much to keep for others, as in --space 50GB')
  const settings = checkHolderSettings({ ...defaults, ...before, ...change })
  await replaceFile(path, Buffer.from(`${JSON.stringify(settings, undefined, 2)}\n`))
  return settings
}

/** Reads a label as it is typed: `KEY=VALUE`. @throws {GroveError} `USAGE` */
export function parseLabel(text: string): readonly [key: string, value: string] {
  const [, key = '', value = ''] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  if (key === '') throw new GroveError('USAGE', `"${text}" is no label; write it as in room=attic`)
  return [key, value]
}

/** Reads a bound as it is typed: a number of GiB times days, or a word. @throws {GroveError} `USAGE` */
export function parseImbalance(text: string): ImbalanceSetting {
  return checkImbalance(/^\d+(\.\d+)?$/.test(text) ? Number(text) : text)
}

/** @throws {GroveError} `USAGE` */
export function checkImbalance(value: unknown): ImbalanceSetting {
  if (value === 'generous' || value === 'none') return value
  if (typeof value === 'number' && value >= 0 && value <= IMBALANCE_GIB_DAYS_MAX) return value
  throw new GroveError(
    'USAGE',
    'by how much others may be behind is a number of GiB times days, as in 5000; or generous, or none'
  )
}

/** @throws {GroveError} `USAGE` */
function checkHolderSettings(settings: HolderSettings): HolderSettings {
  const { spaceBytes, name, site, labels, imbalance, drive } = settings
  checkImbalance(imbalance)
  if (typeof drive !== 'string' || (drive !== '' && !isAbsolute(drive)))
    throw new GroveError('USAGE', 'the home of your drive is named by an absolute path')
  const isSpace = Number.isSafeInteger(spaceBytes) && spaceBytes >= SPACE_BYTES_MIN
  if (!isSpace || spaceBytes > SIZE_BYTES_MAX)
    throw new GroveError('USAGE', 'a holder keeps at least 1MB; write it as in --space 50GB')
  if (name === '') throw new GroveError('USAGE', 'a holder has a name')
  const rows = Object.entries(labels)
  if (rows.length > LABELS_MAX)
    throw new GroveError('USAGE', `a holder takes ${LABELS_MAX} labels at most`)
  for (const text of [name, site, ...rows.flat()]) checkShortText(text)
  return settings
}

function checkShortText(text: string): void {
  try {
    encodeShortText(text)
  } catch (cause) {
    throw new GroveError(
      'USAGE',
      'names, sites and labels have at most 63 bytes and no control characters',
      { cause }
    )
  }
}

/** The name of this computer, or another when it cannot be shown to people. */
function hostName(): string {
  try {
    encodeShortText(hostname())
    return hostname() === '' ? 'holder' : hostname()
  } catch {
    return 'holder'
  }
}

function damaged(path: string, cause: unknown): GroveError {
  return new GroveError('DAMAGED', `${path} makes no sense; remove it and say --space again`, {
    cause
  })
}
