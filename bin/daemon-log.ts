/**
 * The daemon's log: one line per event, for whoever has to find out what went wrong.
 *
 * Invariant: no file names, no content and no keys. Messages are our own words; of an error only
 * its class, its code and the places in the code are written, since the message of a foreign
 * error may quote what it was called with.
 *
 * @module
 */
import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs'
import { FILE_MODE } from './atomic-file.ts'

/** The log starts anew at this size; one older log is kept. */
export const LOG_BYTES_MAX = 4 * 1024 * 1024

/** How many places in the code are written of one error. */
const FRAMES_MAX = 12
/** How many causes of one error are followed. */
const CAUSES_MAX = 4

/** A log file. */
export class DaemonLog {
  readonly #path: string
  readonly #echo: ((line: string) => void) | undefined
  #file: number | undefined
  #bytes = 0

  /** @param path - made if missing; @param echo - also told each line, in the foreground */
  constructor(path: string, echo?: (line: string) => void) {
    this.#path = path
    this.#echo = echo
    this.#open()
  }

  /**
   * Writes a line at once. Never throws: a full disk must not end the daemon.
   *
   * @param message - our own words; @param cause - what went wrong
   */
  write(message: string, cause?: unknown): void {
    const what = cause === undefined ? '' : `: ${describeError(cause)}`
    const line = `${new Date().toISOString()} ${process.pid} ${message}${what}\n`
    this.#echo?.(line)
    try {
      if (this.#bytes >= LOG_BYTES_MAX) this.#rotate()
      if (this.#file !== undefined) this.#bytes += writeSync(this.#file, line)
    } catch {
      // There is nowhere left to say it.
    }
  }

  /** Closes the file; later lines are dropped. */
  close(): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }

  #open(): void {
    this.#file = openSync(this.#path, 'a', FILE_MODE)
    this.#bytes = fstatSync(this.#file).size
  }

  #rotate(): void {
    this.close()
    renameSync(this.#path, `${this.#path}.1`)
    this.#open()
  }
}

/** Class, code, causes and places of an error on one line; see the module's invariant. */
export function describeError(error: unknown): string {
  const parts: string[] = []
  let next: unknown = error
  for (let depth = 0; depth < CAUSES_MAX && next instanceof Error; depth++) {
    const code = 'code' in next ? ` ${String(next.code)}` : ''
    parts.push(`${next.name}${code}${frames(next)}`)
    next = next.cause
  }
  return parts.length > 0 ? parts.join('; caused by ') : typeof error
}

function frames(error: Error): string {
  const lines = (error.stack ?? '').split('\n').filter(line => /^\s+at /.test(line))
  return lines
    .slice(0, FRAMES_MAX)
    .map(line => ` ${line.trim()}`)
    .join('')
}
