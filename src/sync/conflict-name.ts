/**
 * Conflict names: what a file is called when another has its name. Nobody writes them, every
 * device derives the same:
 *
 *     STEM (conflict, DEVICE, YYYY-MM-DD HH.MM).EXT
 *     STEM (conflict, DEVICE, YYYY-MM-DD HH.MM) 2.EXT
 *
 * Names are bytes, one character each, so lengths here are lengths in bytes. Times are UTC.
 *
 * @module
 */
import type { Timestamp } from './clock.ts'
import { NAME_BYTES_MAX, type Name } from './operation.ts'

/** The longest extension that is kept, with its dot, in bytes. */
export const EXTENSION_BYTES_MAX = 16
/** The longest part of a device's name that is used, in bytes. */
export const DEVICE_BYTES_MAX = 64

/** What every conflict name has in it. */
const MARK = ' (conflict, '

const SLASH = 0x2f
const UNDERSCORE = 0x5f
const DELETE = 0x7f

/** The last second of the calendar that names are made with; times beyond are shown as this. */
const DATE_SEC_MAX = 8_640_000_000_000
const DAY_SEC = 86_400
/** From the first day of the era that {@link dayOf} counts in to 1970-01-01. */
const ERA_OFFSET_DAYS = 719_468
const ERA_DAYS = 146_097
const ERA_YEARS = 400

/**
 * Derives the name of what could not have the one it wanted.
 *
 * @param wanted - the name that was taken
 * @param by - the device's attested name and the wall time of the entry
 * @param attempt - 1, then 2, 3 ... while the result is taken too
 */
export function conflictName(
  wanted: Name,
  by: { readonly device: string; readonly time: Timestamp },
  attempt: number
): Name {
  const dot = wanted.lastIndexOf('.')
  const isExtension =
    dot > 0 && dot < wanted.length - 1 && wanted.length - dot <= EXTENSION_BYTES_MAX
  const extension = isExtension ? wanted.slice(dot) : ''
  const stem = isExtension ? wanted.slice(0, dot) : wanted
  const count = attempt === 1 ? '' : ` ${String(attempt)}`
  const middle = `${MARK}${deviceOf(by.device)}, ${minuteOf(by.time)})${count}`
  const room = NAME_BYTES_MAX - middle.length - extension.length
  return (cut(stem, room) + middle + extension) as Name
}

/** Whether a name could be one that {@link conflictName} makes. */
export function resemblesConflictName(name: Name): boolean {
  return name.includes(MARK)
}

/** A device's name as bytes, without what a file name cannot hold or a terminal should not. */
function deviceOf(device: string): string {
  let clean = ''
  for (const byte of new TextEncoder().encode(device.trim())) {
    clean += String.fromCharCode(isPlain(byte) ? byte : UNDERSCORE)
  }
  return cut(clean, DEVICE_BYTES_MAX) || 'device'
}

function isPlain(byte: number): boolean {
  return byte >= 0x20 && byte !== SLASH && byte !== DELETE
}

function minuteOf(time: Timestamp): string {
  const sec = Math.min(Math.max(time.sec, -DATE_SEC_MAX), DATE_SEC_MAX)
  const day = Math.floor(sec / DAY_SEC)
  const minutes = Math.floor((sec - day * DAY_SEC) / 60)
  return `${dayOf(day)} ${padded(Math.floor(minutes / 60), 2)}.${padded(minutes % 60, 2)}`
}

/** The proleptic Gregorian date of a day since 1970-01-01, years counted from March within. */
function dayOf(day: number): string {
  const shifted = day + ERA_OFFSET_DAYS
  const era = Math.floor(shifted / ERA_DAYS)
  const dayOfEra = shifted - era * ERA_DAYS
  const leapDays =
    Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096)
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365)
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153)
  const dayOfMonth = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
  const year = yearOfEra + era * ERA_YEARS + (month <= 2 ? 1 : 0)
  return `${yearText(year)}-${padded(month, 2)}-${padded(dayOfMonth, 2)}`
}

/** Four digits, or a sign and six as ISO 8601 has it for years beyond. */
function yearText(year: number): string {
  if (year >= 0 && year <= 9999) return padded(year, 4)
  return `${year < 0 ? '-' : '+'}${padded(Math.abs(year), 6)}`
}

function padded(value: number, digits: number): string {
  return String(value).padStart(digits, '0')
}

/** Cuts bytes to a length without breaking a character, if they are UTF-8. */
function cut(bytes: string, length: number): string {
  if (bytes.length <= length) return bytes
  for (let end = length; end > length - 4 && end > 0; end--) {
    if ((bytes.charCodeAt(end) & 0xc0) !== 0x80) return bytes.slice(0, end)
  }
  return bytes.slice(0, length)
}
