/**
 * The programs of the crash tests: one writes files through a mount and says what it fsynced, one
 * looks whether all of that is there.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'

const LOADER = '@tapjs/typescript/import'
const CLIENT_MS_MAX = 60_000

/** A writer that was started. */
export interface Writer {
  /** Its process. */
  readonly child: ChildProcessWithoutNullStreams
  /** Waits until it has ended. @returns the lines of what was fsynced */
  readonly promises: () => Promise<string[]>
}

/**
 * Starts a writer; resolves when it has made its first promise, or has ended.
 *
 * @param directory - the mounted folder
 * @param seed - what it writes, and the name of its folder
 */
export async function startWriter(directory: string, seed: number): Promise<Writer> {
  const child = startClient('./crash-writer.ts', [directory, String(seed)])
  let output = ''
  child.stdout.on('data', chunk => (output += String(chunk)))
  const ended = once(child, 'close')
  const promises = async (): Promise<string[]> => {
    await ended
    // The last line may be cut in the middle; it was then not promised.
    return output.split('\n').slice(0, -1)
  }
  // The writer's start-up is not writing: the clock starts with its first promise.
  await Promise.race([once(child.stdout, 'data'), ended])
  return { child, promises }
}

/**
 * Looks for everything that was promised.
 *
 * @param directory - the mounted folder
 * @returns a line for each promise that was broken
 */
export async function brokenPromises(
  directory: string,
  promised: readonly string[]
): Promise<string> {
  const reader = startClient('./crash-reader.ts', [directory])
  let output = ''
  for (const stream of [reader.stdout, reader.stderr])
    stream.on('data', chunk => (output += String(chunk)))
  reader.stdin.end(promised.join('\n'))
  const [code] = (await once(reader, 'close')) as [number | null]
  return code === 0 ? output : `the reader ended with ${code}: ${output}`
}

/** Runs a client script with our TypeScript loader. */
function startClient(script: string, args: readonly string[]): ChildProcessWithoutNullStreams {
  const file = new URL(script, import.meta.url).pathname
  return spawn(process.execPath, ['--import', LOADER, file, ...args], {
    stdio: 'pipe',
    timeout: CLIENT_MS_MAX,
    killSignal: 'SIGKILL'
  })
}
