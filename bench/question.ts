/**
 * A question of the benchmark, how it is asked of one subject, and what the project wants to hear.
 *
 * @module
 */
import { fileURLToPath } from 'node:url'
import type { ClientRequest } from './client-request.ts'
import { run } from './command.ts'
import type { Subject, SubjectName } from './subject.ts'

/** How much each question does. */
export interface Scale {
  /** Small files that are created, looked at and read. */
  readonly files: number
  /** Times that each small file is looked at while everything is warm. */
  readonly warmPasses: number
  /** Chunks of 1 MiB in a stream. */
  readonly chunks: number
  /** Appends with an fsync each. */
  readonly syncs: number
  /** Files in the source tree that is unpacked. */
  readonly treeFiles: number
}

/** What a published figure rests on. */
export const FULL_SCALE: Scale = {
  files: 1000,
  warmPasses: 5,
  chunks: 128,
  syncs: 100,
  treeFiles: 2000
}

/** Just enough to see that the benchmark works. */
export const QUICK_SCALE: Scale = {
  files: 20,
  warmPasses: 2,
  chunks: 4,
  syncs: 4,
  treeFiles: 40
}

/** What Grove must reach: a speed as a multiple of another subject's. */
export interface Goal {
  /** Whose speed is 1. */
  readonly against: SubjectName
  /** The least speed that is good enough. */
  readonly speedMin: number
  /** The goal in words, as it was set. */
  readonly words: string
}

/** How seconds are shown. */
export interface Unit {
  /** Printed after the figure. */
  readonly name: string
  /** @returns the figure to print */
  readonly of: (seconds: number, scale: Scale) => number
}

/** One round of one question: a place to work in, made anew for each. */
export interface Round {
  /** The subject that is asked. */
  readonly subject: Subject
  /** The question's own folder in the subject; exists. */
  readonly directory: string
  /** 0 for the preparation, then 1 and up. */
  readonly number: number
  /** How much to do. */
  readonly scale: Scale
  /** The archive of the source tree, outside of all subjects. */
  readonly archive: string
}

/** A question. */
export interface Question {
  /** Its name on the command line. */
  readonly id: string
  /** Its name in the table. */
  readonly title: string
  /** How its answer is shown. */
  readonly unit: Unit
  /** What the project wants, if it has said so. */
  readonly goal?: Goal
  /** Whether every cache is emptied before each round. */
  readonly cold: boolean
  /** Makes what the rounds look at, once, and is not timed. */
  readonly prepare?: (round: Round) => Promise<void>
  /** Asks once. @returns seconds */
  readonly ask: (round: Round) => Promise<number>
}

/** Seconds as microseconds for each of the small files. */
export const MICROSECONDS_PER_FILE: Unit = {
  name: 'µs',
  of: (seconds, scale) => (seconds * 1e6) / scale.files
}

/** Seconds as MiB a second of one stream. */
export const STREAM_SPEED: Unit = {
  name: 'MiB/s',
  of: (seconds, scale) => scale.chunks / seconds
}

/**
 * Runs the client in a process of its own.
 *
 * @returns the seconds that it measured
 */
export async function askClient(request: ClientRequest): Promise<number> {
  // Beside this file, with this file's ending: compiled or not.
  const client = fileURLToPath(new URL(import.meta.url.replace(/question(\.[jt]s)$/, 'client$1')))
  const args = [...process.execArgv, client, JSON.stringify(request)]
  const seconds: unknown = JSON.parse(await run(process.execPath, args))
  if (typeof seconds !== 'number' || !(seconds > 0)) throw new Error(`no time from ${client}`)
  return seconds
}
