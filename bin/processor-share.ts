/**
 * How much of the processors a daemon takes while other programs want them too. Who uses its files
 * waits for it, so it takes as much as any other program; while nobody does, what it does can wait:
 * a merge of what another device did must not slow down what the person does on this one.
 *
 * A daemon leads a session of its own, and sessions share processors by their autogroups, each with
 * a nice value of its own (sched(7), proc_pid_autogroup(5)). It only counts where processors are
 * short. The nice value of a process would count among the threads of its session only.
 *
 * @module
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { Clock, Timer } from '../src/sync/clock.ts'

/** Nobody uses a daemon when nobody did for this long, in milliseconds. */
export const QUIET_MS = 500
/** The nice value meanwhile: about a tenth of the share of a program that wants a processor. */
export const QUIET_NICE = 10

const AUTOGROUP_FILE = '/proc/self/autogroup'
/** Of the fields of /proc/self/stat behind the name, which may have spaces in it. */
const SESSION_FIELD = 3

/** What a share is made of. */
export interface ProcessorShareParts {
  /** Time. */
  readonly clock: Clock
  /** Sets the nice value of the session. @returns whether that was done */
  readonly setNice: (nice: number) => boolean
}

/** See the module. */
export class ProcessorShare {
  readonly #parts: ProcessorShareParts
  #isQuiet = false
  #wasUsed = false
  #timer: Timer | undefined
  #isClosed = false

  /** @param parts - borrowed */
  constructor(parts: ProcessorShareParts) {
    this.#parts = parts
    this.#wait()
  }

  /** The share of this process; undefined where it leads no session, or sessions do not share. */
  static ofThisSession(clock: Clock): ProcessorShare | undefined {
    if (!existsSync(AUTOGROUP_FILE) || sessionOfThisProcess() !== process.pid) return undefined
    return new ProcessorShare({ clock, setNice: setSessionNice })
  }

  /** Says that somebody waits for this daemon. */
  readonly used = (): void => {
    this.#wasUsed = true
    // The kernel takes only so many changes a second: then it is tried again at the next use.
    if (!this.#isQuiet || !this.#parts.setNice(0)) return
    this.#isQuiet = false
    this.#wait()
  }

  /** Takes the usual share for good. Idempotent. */
  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.used()
  }

  #wait(): void {
    if (this.#isClosed) return
    this.#wasUsed = false
    this.#timer = this.#parts.clock.after(QUIET_MS, () => {
      this.#isQuiet = !this.#wasUsed && this.#parts.setNice(QUIET_NICE)
      if (!this.#isQuiet) this.#wait()
    })
  }
}

function sessionOfThisProcess(): number {
  const stat = readFileSync('/proc/self/stat', 'latin1')
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[SESSION_FIELD])
}

function setSessionNice(nice: number): boolean {
  try {
    writeFileSync(AUTOGROUP_FILE, String(nice))
    return true
  } catch {
    return false
  }
}
