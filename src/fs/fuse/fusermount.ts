/**
 * fusermount3, the set-user-ID program that mounts and unmounts for users who are not root.
 *
 * It is started by its absolute path with the root directory as its working directory, because
 * a process must not touch its own mount while it serves it.
 *
 * @module
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

/** How long an unmount may take before it counts as failed, in milliseconds. */
export const FUSERMOUNT_MS_MAX = 30_000

const NAME = 'fusermount3'
const STDERR_CHARS_MAX = 4096
/** Where the program is usually, should PATH not say so. */
const USUAL_DIRECTORIES = ['/usr/bin', '/bin', '/usr/local/bin']

/**
 * Finds the program; undefined where it is not installed.
 *
 * @param names - what it may be called; libfuse 2.9 knows it as `fusermount`
 */
export async function findFusermount(
  path = process.env['PATH'] ?? '',
  names: readonly string[] = [NAME]
): Promise<string | undefined> {
  const directories = path.split(delimiter).filter(directory => directory.startsWith('/'))
  const places = [...directories, ...USUAL_DIRECTORIES]
  for (const program of names.flatMap(name => places.map(directory => join(directory, name)))) {
    const isThere = await access(program, constants.X_OK).then(
      () => true,
      () => false
    )
    if (isThere) return program
  }
  return undefined
}

/** How the program ended. */
export interface FusermountResult {
  /** It did what was asked. */
  readonly succeeded: boolean
  /** The first line of what it said. */
  readonly message: string
}

/** Starts the program. @param socket - where it sends the descriptor of a new mount */
export function startFusermount(
  program: string,
  args: readonly string[],
  socket?: number
): ChildProcess {
  return spawn(program, args, {
    cwd: '/',
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', ...(socket !== undefined && { _FUSE_COMMFD: '3' }) },
    stdio: ['ignore', 'ignore', 'pipe', ...(socket === undefined ? [] : [socket])]
  })
}

/** Runs the program to its end. */
export async function runFusermount(
  program: string,
  args: readonly string[]
): Promise<FusermountResult> {
  return endOf(startFusermount(program, args), FUSERMOUNT_MS_MAX)
}

/** Waits for a started program; one that takes longer than `timeoutMs`, if given, is killed. */
export async function endOf(child: ChildProcess, timeoutMs?: number): Promise<FusermountResult> {
  let message = ''
  child.stderr?.setEncoding('utf8')
  child.stderr?.on('data', (text: string) => {
    if (message.length < STDERR_CHARS_MAX) message += text
  })
  return new Promise(resolve => {
    const timer =
      timeoutMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), timeoutMs)
    const finish = (succeeded: boolean, fallback: string): void => {
      clearTimeout(timer)
      const [line = ''] = message.trim().split('\n')
      resolve({ succeeded, message: line === '' ? fallback : line })
    }
    child.once('error', error => finish(false, error.message))
    child.once('close', code => finish(code === 0, `${NAME} ended with code ${code}`))
  })
}
