/**
 * A daemon's share of the processors where they are short. It is that of any other program,
 * because somebody may wait for its files or for what was just written here. While it has long
 * work and nobody uses its files it is smaller: a merge of all that another device did in weeks
 * can wait, and must not slow down what the person does.
 *
 * A daemon leads a session of its own, and sessions share processors by their autogroups, each with
 * a nice value of its own (sched(7), proc_pid_autogroup(5)). It only counts where processors are
 * short. The nice value of a process would count among the threads of its session only.
 *
 * @module
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { Clock, Timer } from '../src/sync/clock.ts'

/** It is looked so often what a daemon does, in milliseconds. */
export const LOOK_MS = 250
/** Work is long that makes so many steps between two looks. */
export const LONG_STEPS = 4
/** The nice value meanwhile: about a tenth of the share of a program that wants a processor. */
export const QUIET_NICE = 10

const AUTOGROUP_FILE = '/proc/self/autogroup'
/** Of the fields of /proc/self/stat behind the name, which may have spaces in it. */
const SESSION_FIELD = 3

/** What a share is made of. */
export interface ProcessorShareParts {
  /** Time. */
  readonly clock: Clock
  /** Sets the nice value of the session. @returns false when that has to be tried again */
  readonly setNice: (nice: number) => boolean
}

/** See the module. */
export class ProcessorShare {
  readonly #parts: ProcessorShareParts
  #isQuiet = false
  #wasUsed = false
  #steps = 0
  #timer: Timer | undefined
  #isClosed = false

  /** @param parts - borrowed */
  constructor(parts: ProcessorShareParts) {
    this.#parts = parts
  }

  /** The share of this process; undefined where it leads no session, or sessions do not share. */
  static ofThisSession(clock: Clock): ProcessorShare | undefined {
    if (!existsSync(AUTOGROUP_FILE) || sessionOfThisProcess() !== process.pid) return undefined
    return new ProcessorShare({ clock, setNice: setSessionNice })
  }

  /** Says that somebody waits for this daemon. */
  readonly used = (): void => {
    this.#wasUsed = true
    this.#setQuiet(false)
  }

  /** Says that a step of long work is made. */
  readonly stepped = (): void => {
    this.#steps += 1
    if (this.#timer === undefined && !this.#isClosed) this.#lookLater()
  }

  /** Takes the usual share for good. Idempotent. */
  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#setQuiet(false)
  }

  #lookLater(): void {
    this.#wasUsed = false
    this.#steps = 0
    this.#timer = this.#parts.clock.after(LOOK_MS, () => {
      this.#timer = undefined
      const isLong = this.#steps >= LONG_STEPS
      this.#setQuiet(isLong && !this.#wasUsed)
      if (isLong || this.#isQuiet) this.#lookLater()
    })
  }

  /** The kernel takes only so many changes a second: what it does not take is tried again. */
  #setQuiet(isQuiet: boolean): void {
    if (isQuiet === this.#isQuiet || !this.#parts.setNice(isQuiet ? QUIET_NICE : 0)) return
    this.#isQuiet = isQuiet
  }
}

function sessionOfThisProcess(): number {
  const stat = readFileSync('/proc/self/stat', 'latin1')
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[SESSION_FIELD])
}

/** A value that somebody else set is left as it is: then there is nothing to try again. */
function setSessionNice(nice: number): boolean {
  try {
    const current = Number(readFileSync(AUTOGROUP_FILE, 'latin1').trim().split(' ').at(-1))
    if (current !== 0 && current !== QUIET_NICE) return true
    writeFileSync(AUTOGROUP_FILE, String(nice))
    return true
  } catch {
    return false
  }
}
