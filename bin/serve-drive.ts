/**
 * A process that serves a drive: the daemon with the real drive and drivers, in the background
 * or in the foreground.
 *
 * @module
 */
import { decodeKeyFile } from '../src/crypto/key-file.ts'
import type { MountRequest } from './api.ts'
import type { Context } from './command.ts'
import { explainError } from './explain-error.ts'
import type { Home } from './home.ts'
import { Launcher } from './launcher.ts'
import { mountTools } from './mount-tools.ts'
import { openDrive } from './open-drive.ts'
import { ProgressBar } from './progress-bar.ts'
import { runDaemon, type RunOptions } from './run-daemon.ts'
import { unlockKeys } from './unlock-keys.ts'

/**
 * Serves in the background for a `grove mount` that waits: it is told how the start goes.
 *
 * @returns the exit code
 */
export async function serveLaunched(
  context: Context,
  home: Home,
  request: MountRequest
): Promise<number> {
  const launcher = new Launcher()
  try {
    const packed = await launcher.readKeys()
    const keys = await decodeKeyFile(packed)
    packed.fill(0)
    return await runDaemon({
      ...parts(context),
      home,
      request,
      keys,
      endsWithMount: false,
      onProgress: progress => void launcher.tell({ kind: 'progress', progress }),
      onMounted: async mounted => {
        await launcher.tell({ kind: 'mounted', mounted })
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
 * Serves in the foreground until interrupted or unmounted.
 *
 * @param onMounted - called when the folder answers
 * @returns the exit code
 */
export async function serveHere(
  context: Context,
  home: Home,
  request: MountRequest,
  onMounted: RunOptions['onMounted']
): Promise<number> {
  const keys = await unlockKeys(home, context)
  const bar = new ProgressBar(context.stderr, 'Reading the logs')
  try {
    return await runDaemon({
      ...parts(context),
      home,
      request,
      keys,
      endsWithMount: true,
      echo: line => context.stderr.write(line),
      onProgress: bar.update.bind(bar),
      onMounted: mounted => {
        bar.end()
        return onMounted(mounted)
      }
    })
  } finally {
    bar.end()
  }
}

function parts({ environment, signal }: Context) {
  return { environment, signal, openDrive, tools: mountTools }
}
