/**
 * A process that is a holder, in the background or in the foreground.
 *
 * @module
 */
import type { Context } from './command.ts'
import { explainError } from './explain-error.ts'
import { Launcher } from './launcher.ts'
import { runHolder, type RunHolderOptions } from './run-holder.ts'

/** What to serve. */
export type ServeHolderOptions = Pick<RunHolderOptions, 'home' | 'change' | 'onReady'>

/**
 * Serves in the background for a `grove host` that waits: it is told how the start goes.
 *
 * @returns the exit code
 */
export async function serveHolderLaunched(
  context: Context,
  { home, change }: ServeHolderOptions
): Promise<number> {
  const launcher = new Launcher()
  const { environment, signal } = context
  try {
    return await runHolder({
      home,
      change,
      environment,
      signal,
      onReady: async code => {
        await launcher.tell({ kind: 'hosting', code })
        launcher.leave()
      }
    })
  } catch (error) {
    const { code, message } = explainError(error)
    await launcher.tell({ kind: 'failed', code, message })
    return 1
  } finally {
    launcher.leave()
  }
}

/**
 * Serves in the foreground until interrupted.
 *
 * @returns the exit code
 */
export async function serveHolderHere(
  context: Context,
  options: ServeHolderOptions
): Promise<number> {
  const { environment, signal } = context
  const echo = (line: string): unknown => context.stderr.write(line)
  return runHolder({ ...options, environment, signal, echo })
}
