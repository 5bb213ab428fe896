/**
 * Finds where the process of a home listens: a drive's daemon, or a holder.
 *
 * @module
 */
import { GroveError } from './grove-error.ts'
import { HomeLock } from './home-lock.ts'
import { askForJson } from './socket-request.ts'

/** The home whose process is looked for. */
export interface ServedHome {
  /** The folder. */
  readonly directory: string
  /** What its process holds locked. */
  readonly lockFile: string
}

/**
 * Looks for the process of a home and asks it whether it serves that home.
 *
 * @param command - which command it must have been started by; any when absent
 * @returns where it listens; undefined when none is running
 * @throws {GroveError} `NO_ANSWER` when there is one that does not answer
 */
export async function findSocket(
  { directory, lockFile }: ServedHome,
  { signal, command }: { readonly signal: AbortSignal; readonly command?: string }
): Promise<string | undefined> {
  const process = await HomeLock.lastHolder(lockFile)
  const socket = process?.socket
  if (socket === undefined) return undefined
  if (command !== undefined && process?.command !== command) return undefined
  try {
    const answer = await askForJson({ socket, signal, method: 'GET', path: '/v1/status' })
    return (answer as { readonly home: string }).home === directory ? socket : undefined
  } catch (error) {
    if (error instanceof GroveError && error.code === 'NOT_RUNNING') return undefined
    throw error
  }
}
