/**
 * Whether a process still runs.
 *
 * @module
 */
import { readFileSync } from 'node:fs'

/**
 * Whether the process runs. One that has ended and waits for its parent to notice does not,
 * though it still has its pid: the parent of a daemon is init, which may take a second.
 */
export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: it lives and belongs to somebody else.
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
  return !hasEnded(pid)
}

/** proc_pid_stat(5): the state comes after the name, which may itself hold brackets. */
function hasEnded(pid: number): boolean {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return /^[ZXx]/.test(status.slice(status.lastIndexOf(')') + 2))
  } catch {
    return false
  }
}
