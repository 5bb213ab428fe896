/**
 * Parsers of the requests a daemon gets. What arrives over a socket is checked, not trusted.
 *
 * @module
 */
import { isAbsolute } from 'node:path'
import { SHORT_TEXT_BYTES_MAX, encodeShortText } from '../src/crypto/short-text.ts'
import { COPIES_MAX, parseRedundancy } from '../src/sync/redundancy.ts'
import {
  DRIVER_CHOICES,
  INVITATION_MINUTES_MAX,
  KEEP_CHOICES,
  type CatRequest,
  type InviteRequest,
  type MountRequest,
  type ResolveRequest,
  type SettingRequest,
  type SyncRequest,
  type UnmountRequest,
  type VersionsRequest
} from './api.ts'
import { GroveError } from './grove-error.ts'
import {
  BALANCE_LENGTH_MAX,
  HOLDER_CODE_LENGTH_MAX,
  OWN_HOLDER_PERSONS_MAX,
  type ExplainRequest,
  type HolderAddRequest,
  type HolderKeepRequest,
  type HolderRemoveRequest,
  type OwnHolderRequest,
  type RedundancyRequest,
  type TrimRequest
} from './custody-api.ts'

/** The longest name of a version that is looked at, in characters. */
export const VERSION_LENGTH_MAX = 200

/** The longest name or key of a holder that is looked at, in bytes. */
export const HOLDER_BYTES_MAX = 64

/** @throws {GroveError} `USAGE` */
export function parseMountRequest(body: string): MountRequest {
  const value = parseObject(body)
  const driver = DRIVER_CHOICES.find(choice => choice === value['driver'])
  if (driver === undefined) throw malformed('driver')
  return {
    directory: absolutePath(value['directory'], 'directory'),
    driver,
    readOnly: flag(value, 'readOnly'),
    allowOther: flag(value, 'allowOther')
  }
}

/** @throws {GroveError} `USAGE` */
export function parseUnmountRequest(body: string): UnmountRequest {
  const value = parseObject(body)
  const lazy = flag(value, 'lazy')
  if (value['directory'] === undefined) return { lazy }
  return { lazy, directory: absolutePath(value['directory'], 'directory') }
}

/** @throws {GroveError} `USAGE` */
export function parseSettingRequest(body: string): SettingRequest {
  const { name, value } = parseObject(body)
  if (typeof name !== 'string' || typeof value !== 'string') throw malformed('setting')
  return { name, value }
}

/** @throws {GroveError} `USAGE` */
export function parseInviteRequest(body: string): InviteRequest {
  const { minutes } = parseObject(body)
  if (typeof minutes === 'number' && Number.isInteger(minutes))
    if (minutes >= 1 && minutes <= INVITATION_MINUTES_MAX) return { minutes }
  throw malformed('minutes')
}

/** @throws {GroveError} `USAGE` */
export function parseResolveRequest(body: string): ResolveRequest {
  const value = parseObject(body)
  const keep = KEEP_CHOICES.find(choice => choice === value['keep'])
  if (keep === undefined) throw malformed('keep')
  return { path: absolutePath(value['path'], 'path'), keep }
}

/** @throws {GroveError} `USAGE` */
export function parseVersionsRequest(body: string): VersionsRequest {
  return { path: absolutePath(parseObject(body)['path'], 'path') }
}

/** @throws {GroveError} `USAGE` */
export function parseCatRequest(body: string): CatRequest {
  const { path, version } = parseObject(body)
  if (typeof version !== 'string' || version.length > VERSION_LENGTH_MAX) throw malformed('version')
  return { path: absolutePath(path, 'path'), version }
}

/** @throws {GroveError} `USAGE` */
export function parseSyncRequest(body: string): SyncRequest {
  return { wait: flag(parseObject(body), 'wait') }
}

/** @throws {GroveError} `USAGE` */
export function parseHolderAddRequest(body: string): HolderAddRequest {
  const value = parseObject(body)
  const { code } = value
  if (typeof code !== 'string' || code.length > HOLDER_CODE_LENGTH_MAX) throw malformed('code')
  const names = ['site', 'machine', 'person'] as const
  const given = names.filter(name => value[name] !== undefined)
  return {
    code,
    ...Object.fromEntries(given.map(name => [name, checkHolderText(value[name], name)]))
  }
}

/** @throws {GroveError} `USAGE` */
export function parseHolderRemoveRequest(body: string): HolderRemoveRequest {
  const value = parseObject(body)
  return { holder: holderName(value), force: flag(value, 'force') }
}

/** @throws {GroveError} `USAGE` */
export function parseHolderKeepRequest(body: string): HolderKeepRequest {
  return { holder: holderName(parseObject(body)) }
}

/** @throws {GroveError} `USAGE` */
export function parseTrimRequest(body: string): TrimRequest {
  return { cancel: flag(parseObject(body), 'cancel') }
}

/** @throws {GroveError} `USAGE` */
export function parseOwnHolderRequest(body: string): OwnHolderRequest {
  const { holder, persons } = parseObject(body)
  if (!Array.isArray(persons) || persons.length > OWN_HOLDER_PERSONS_MAX) throw malformed('persons')
  return {
    holder: keyText(holder, 'holder'),
    persons: persons.map((person: unknown) => {
      if (typeof person !== 'object' || person === null) throw malformed('persons')
      const { name, identity, balance, accepted } = person as Record<string, unknown>
      return {
        name: checkHolderText(name, 'person'),
        identity: keyText(identity, 'identity'),
        balance: signedText(balance),
        accepted: signedText(accepted)
      }
    })
  }
}

/** @throws {GroveError} `USAGE` */
export function parseRedundancyRequest(body: string): RedundancyRequest {
  const value = parseObject(body)
  const path = absolutePath(value['path'], 'path')
  return value['level'] === undefined ? { path } : { path, level: checkLevel(value['level']) }
}

/** @throws {GroveError} `USAGE` */
export function parseExplainRequest(body: string): ExplainRequest {
  return { path: absolutePath(parseObject(body)['path'], 'path') }
}

/** Checks what is to be called a site, a machine or a person. @throws {GroveError} `USAGE` */
export function checkHolderText(value: unknown, name: string): string {
  try {
    if (typeof value === 'string' && value.trim() !== '' && encodeShortText(value)) return value
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
  }
  throw new GroveError(
    'USAGE',
    `a ${name} is named with 1 to ${SHORT_TEXT_BYTES_MAX} bytes and no control characters`
  )
}

/** Checks a level that is to be set. @throws {GroveError} `USAGE` */
export function checkLevel(value: unknown): string {
  if (value === 'inherit') return value
  if (typeof value === 'string' && parseRedundancy(value) !== undefined) return value
  throw new GroveError(
    'USAGE',
    `a level is N or N/FLOOR, 1 to ${COPIES_MAX} copies and no more as the floor, as in 3/2; or inherit`
  )
}

function parseObject(body: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    throw malformed('JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed('JSON')
  return value as Record<string, unknown>
}

function absolutePath(value: unknown, name: string): string {
  if (typeof value === 'string' && isAbsolute(value) && !value.includes('\0')) return value
  throw malformed(name)
}

function holderName({ holder }: Readonly<Record<string, unknown>>): string {
  if (typeof holder === 'string' && holder !== '')
    if (Buffer.byteLength(holder) <= HOLDER_BYTES_MAX) return holder
  throw malformed('holder')
}

function keyText(value: unknown, name: string): string {
  if (typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)) return value
  throw malformed(name)
}

function signedText(value: unknown): string {
  if (typeof value === 'string' && value.length <= BALANCE_LENGTH_MAX) return value
  throw malformed('balance')
}

function flag(value: Readonly<Record<string, unknown>>, name: string): boolean {
  const set = value[name]
  if (typeof set !== 'boolean') throw malformed(name)
  return set
}

function malformed(what: string): GroveError {
  return new GroveError('USAGE', `malformed request: ${what}`)
}
