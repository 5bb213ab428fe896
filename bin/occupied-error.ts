/**
 * Why a folder that another daemon serves cannot be had.
 *
 * @module
 */
import { GroveError } from './grove-error.ts'

/** Why a folder that another daemon serves cannot be had. */
export function occupiedError(directory: string, found: 'live' | 'unresponsive'): GroveError {
  return new GroveError(
    'BUSY',
    found === 'live'
      ? `the drive of another home is mounted at ${directory}; choose another folder, or unmount it with GROVE_HOME set to that home`
      : `the drive mounted at ${directory} does not answer; end the process that serves it, and try again`
  )
}
