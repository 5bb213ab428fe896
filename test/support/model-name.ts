/**
 * Conflict names: what a file is called when another has its name. Nobody writes them, every
 * device derives the same:
 *
 *     STEM (conflict, DEVICE, YYYY-MM-DD HH.MM).EXT
 *     STEM (conflict, DEVICE, YYYY-MM-DD HH.MM) 2.EXT
 *
 * Names are bytes, one character each, so lengths here are lengths in bytes.
 *
 * @module
 */
import type { Timestamp } from '../../src/sync/clock.ts'
import { NAME_BYTES_MAX, type Name } from '../../src/sync/operation.ts'

/** The longest extension that is kept, with its dot, in bytes. */
export const EXTENSION_BYTES_MAX = 16
/** The longest part of a device's name that is used, in bytes. */
export const DEVICE_BYTES_MAX = 64

const SLASH = 0x2f
const UNDERSCORE = 0x5f
const DELETE = 0x7f

/** The last second that a JavaScript date can show. */
const DATE_SEC_MAX = 8_640_000_000_000

/**
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
  const middle = ` (conflict, ${deviceOf(by.device)}, ${minuteOf(by.time)})${count}`
  const room = NAME_BYTES_MAX - middle.length - extension.length
  return (cut(stem, room) + middle + extension) as Name
}

/** A device's name as bytes, without what a file name cannot hold or a terminal should not. */
function deviceOf(device: string): string {
  const bytes = Buffer.from(device.trim(), 'utf8')
  const clean = Buffer.from(bytes.map(byte => (isPlain(byte) ? byte : UNDERSCORE)))
  return cut(clean.toString('latin1'), DEVICE_BYTES_MAX) || 'device'
}

function isPlain(byte: number): boolean {
  return byte >= 0x20 && byte !== SLASH && byte !== DELETE
}

function minuteOf(time: Timestamp): string {
  const sec = Math.min(Math.max(time.sec, -DATE_SEC_MAX), DATE_SEC_MAX)
  const [date = '', clock = ''] = new Date(sec * 1000).toISOString().split('T')
  return `${date} ${clock.slice(0, 5).replace(':', '.')}`
}

/** Cuts bytes to a length without breaking a character, if they are UTF-8. */
function cut(bytes: string, length: number): string {
  if (bytes.length <= length) return bytes
  for (let end = length; end > length - 4 && end > 0; end--) {
    if ((bytes.charCodeAt(end) & 0xc0) !== 0x80) return bytes.slice(0, end)
  }
  return bytes.slice(0, length)
}
