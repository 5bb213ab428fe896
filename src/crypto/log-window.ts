/**
 * A window of a log: which of {@link WINDOW_BLOCKS} consecutive blocks are meant.
 *
 * | bytes | what |
 * |---|---|
 * | 32 | log |
 * | 4 | window: it begins at block `window * 1024` |
 * | 128 | bitmap: bit `i & 7` of byte `i >> 3` is block `window * 1024 + i` |
 *
 * @module
 */
import type { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { PUBLIC_KEY_BYTES } from './sodium.ts'

/** How many blocks a window has. */
export const WINDOW_BLOCKS = 1024
/** The size of a window's bitmap, in bytes. */
export const WINDOW_BITMAP_BYTES = WINDOW_BLOCKS / 8
/** The size of an encoded window, in bytes. */
export const LOG_WINDOW_BYTES = PUBLIC_KEY_BYTES + 4 + WINDOW_BITMAP_BYTES

/** Some of the blocks of one window of a log. */
export interface LogWindow {
  /** The log's key, 32 bytes. */
  readonly log: Uint8Array
  /** Which window of it; u32. */
  readonly window: number
  /** Which blocks of the window; {@link WINDOW_BITMAP_BYTES}. */
  readonly bitmap: Uint8Array
}

/** Writes {@link LOG_WINDOW_BYTES}. */
export function writeLogWindow(writer: ByteWriter, { log, window, bitmap }: LogWindow): void {
  const name = logWindowName({ log, window })
  writer.put(name, name.length).put(bitmap, WINDOW_BITMAP_BYTES)
}

/** How {@link writeLogWindow} names a window: a statement without these bytes is not about it. */
export function logWindowName({ log, window }: Pick<LogWindow, 'log' | 'window'>): Uint8Array {
  const writer = new ByteWriter(new Uint8Array(LOG_WINDOW_BYTES - WINDOW_BITMAP_BYTES))
  return writer.put(log, PUBLIC_KEY_BYTES).u32(window).end()
}

/** Reads {@link LOG_WINDOW_BYTES}. @throws {CryptoError} `TRUNCATED` */
export function readLogWindow(reader: ByteReader): LogWindow {
  const log = reader.copy(PUBLIC_KEY_BYTES)
  return { log, window: reader.u32(), bitmap: reader.copy(WINDOW_BITMAP_BYTES) }
}
