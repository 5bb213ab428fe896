/**
 * What a holder answers over its socket: JSON over HTTP/1.1, version 1.
 *
 * | request | body | answer |
 * |---|---|---|
 * | `GET /v1/status` | | {@link HolderProcessStatus} |
 * | `POST /v1/invite` | {@link HolderInviteRequest} | {@link HolderCodeAnswer} |
 * | `POST /v1/settings` | {@link HolderSettingsChange} | {@link HolderCodeAnswer} |
 * | `POST /v1/person` | {@link NamePersonRequest} | {@link HeldPerson} |
 * | `POST /v1/stop` | | {}, once everything is safe; then the holder ends |
 *
 * @module
 */
import { checkHolderText } from './api-request.ts'
import { SIZE_BYTES_MAX } from './parse-size.ts'
import { GroveError } from './grove-error.ts'
import {
  checkImbalance,
  type HolderSettings,
  type HolderSettingsChange
} from './holder-settings.ts'

/** How long a code is valid unless somebody says otherwise, in hours: a week. */
export const CODE_HOURS = 7 * 24

/** How long a code may be valid at most, in hours: a year. */
export const CODE_HOURS_MAX = 366 * 24

/** The fewest digits of a key by which a person can be named. */
export const PERSON_DIGITS_MIN = 8

const PERSON_KEY = new RegExp(`^[0-9a-f]{${PERSON_DIGITS_MIN},64}$`)

/** A person that a holder keeps for. */
export interface HeldPerson {
  /** The person's key, 64 hexadecimal digits. */
  readonly id: string
  /** How much is kept for them at most, in bytes. */
  readonly quotaBytes: number
  /** How much is kept, in bytes. */
  readonly usedBytes: number
  /** How long none of their devices has been here, in seconds of the holder's being online. */
  readonly silentSec: number
  /** What the owner calls them; absent when they do not. */
  readonly name?: string
  /** How much was kept for them, in GiB times days, as the holder counts. */
  readonly keptGibDays: number
  /** The same, by the newest balance that both signed; absent when there is none. */
  readonly settledGibDays?: number
  /** How much they kept for the owner, in GiB times days; absent when that is not known. */
  readonly returnedGibDays?: number
  /** Whether nothing new is kept for them because they are too far behind. */
  readonly isBehind: boolean
}

/** How a holder is. */
export interface HolderProcessStatus extends HolderSettings {
  /** It answers. */
  readonly running: true
  /** Its process. */
  readonly pid: number
  /** Its home. */
  readonly home: string
  /** Its name in receipts: its signing key, 64 hexadecimal digits. */
  readonly id: string
  /** How much is kept for everybody together, in bytes. */
  readonly usedBytes: number
  /** How much the logs take on the disk, in bytes. */
  readonly diskBytes: number
  /** How long it has been online in all its life, in seconds. */
  readonly onlineSec: number
  /** How many devices are connected. */
  readonly connections: number
  /** How many connections were turned away or ended because of what was sent. */
  readonly refused: number
  /**
   * By how much others may be behind now, in GiB times days: less the fuller the space is. Absent
   * when there is no bound.
   */
  readonly boundGibDays?: number
  /** Whom it keeps for. */
  readonly persons: readonly HeldPerson[]
  /** What is wrong, if anything. */
  readonly problem?: string
}

/** What a code is to grant. */
export interface HolderInviteRequest {
  /** How much is kept for the person who uses it, in bytes; the whole space when absent. */
  readonly spaceBytes?: number
  /** How long it can be used, in hours. */
  readonly hours: number
  /** What the owner calls that person. */
  readonly person?: string
}

/** Calls somebody something. */
export interface NamePersonRequest {
  /** The beginning of their key: at least {@link PERSON_DIGITS_MIN} digits. */
  readonly id: string
  /** What; empty for nothing any more. */
  readonly name: string
}

/** A code. */
export interface HolderCodeAnswer {
  /** What to type at the other computer. */
  readonly code: string
  /** Until when, in milliseconds since 1970. */
  readonly expiresMs: number
  /** How much is kept for the person who uses it, in bytes. */
  readonly spaceBytes: number
}

/** @throws {GroveError} `USAGE` */
export function parseHolderInviteRequest(body: string): HolderInviteRequest {
  const { spaceBytes, hours, person } = parseObject(body)
  if (typeof hours !== 'number') throw malformed('hours')
  return {
    hours: checkHours(hours),
    ...(spaceBytes !== undefined && { spaceBytes: checkSpace(spaceBytes) }),
    ...(person !== undefined && { person: checkHolderText(person, 'person') })
  }
}

/** @throws {GroveError} `USAGE` */
export function parseNamePersonRequest(body: string): NamePersonRequest {
  const { id, name } = parseObject(body)
  if (typeof id !== 'string' || !PERSON_KEY.test(id)) throw malformed('id')
  return { id, name: name === '' ? name : checkHolderText(name, 'person') }
}

/** Checks how long a code is to be valid. @throws {GroveError} `USAGE` */
export function checkHours(hours: number): number {
  if (Number.isInteger(hours) && hours >= 1 && hours <= CODE_HOURS_MAX) return hours
  throw new GroveError('USAGE', `a code is valid for 1 to ${CODE_HOURS_MAX} hours`)
}

/** @throws {GroveError} `USAGE` */
export function parseHolderSettingsChange(body: string): HolderSettingsChange {
  const { spaceBytes, name, site, labels, imbalance, drive } = parseObject(body)
  if (labels !== undefined && !isTexts(labels)) throw malformed('labels')
  return {
    ...(spaceBytes !== undefined && { spaceBytes: checkSpace(spaceBytes) }),
    ...(name !== undefined && { name: text(name, 'name') }),
    ...(site !== undefined && { site: text(site, 'site') }),
    ...(labels !== undefined && { labels }),
    ...(imbalance !== undefined && { imbalance: checkImbalance(imbalance) }),
    ...(drive !== undefined && { drive: text(drive, 'drive') })
  }
}

function checkSpace(bytes: unknown): number {
  if (typeof bytes === 'number' && Number.isSafeInteger(bytes))
    if (bytes >= 0 && bytes <= SIZE_BYTES_MAX) return bytes
  throw malformed('spaceBytes')
}

function text(value: unknown, name: string): string {
  if (typeof value === 'string') return value
  throw malformed(name)
}

function isTexts(value: unknown): value is Readonly<Record<string, string>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.values(value).every(each => typeof each === 'string')
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

function malformed(what: string): GroveError {
  return new GroveError('USAGE', `malformed request: ${what}`)
}
