/**
 * The life of a holder's process: lock, keys, what is kept, socket, network, and an end that is
 * always the same, whether a signal, a request or a fault brings it.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { ReplicationError } from '../src/replication/replication-error.ts'
import { SyncError } from '../src/sync/sync-error.ts'
import { DaemonLog } from './daemon-log.ts'
import { ANSWER_GRACE_MS, END_MS_MAX } from './daemon.ts'
import { GroveError } from './grove-error.ts'
import { Holder } from './holder.ts'
import {
  CODE_HOURS,
  parseHolderInviteRequest,
  parseHolderSettingsChange,
  parseNamePersonRequest,
  type HolderCodeAnswer
} from './holder-api.ts'
import type { HolderHome } from './holder-home.ts'
import { changeHolderSettings, type HolderSettingsChange } from './holder-settings.ts'
import type { Environment } from './home.ts'
import { HomeLock } from './home-lock.ts'
import { machineTag } from './machine-tag.ts'
import { readNetworkOptions } from './network-environment.ts'
import { PrivateSocket, readBody, refuse, sendJson } from './private-socket.ts'
import { chooseSocketPath } from './socket-path.ts'
import { systemRandom } from './system-random.ts'
import { tellOwnDrive } from './tell-own-drive.ts'

/** What to run. */
export interface RunHolderOptions {
  /** The home; made if there is none. */
  readonly home: HolderHome
  /** What it is to be from now on. */
  readonly change: HolderSettingsChange
  /** Environment variables. */
  readonly environment: Environment
  /** Ends the holder when aborted. */
  readonly signal: AbortSignal
  /** Told each line of the log, if given. */
  readonly echo?: (line: string) => void
  /** Told once the holder can be reached: a fresh code of it. */
  readonly onReady: (code: HolderCodeAnswer) => void | Promise<void>
}

/**
 * Runs a holder to its end.
 *
 * @returns the exit code of the process
 * @throws {GroveError} `LOCKED`, `USAGE`, and whatever opening met; then all is undone
 */
export async function runHolder(options: RunHolderOptions): Promise<number> {
  // The process keeps no folder busy.
  process.chdir('/')
  const { home } = options
  await home.prepare()
  const lock = await HomeLock.acquire(home.lockFile, { pid: process.pid, command: 'host' })
  try {
    const log = new DaemonLog(home.logFile, options.echo)
    log.write('starting')
    try {
      return await serve(options, lock, log)
    } catch (error) {
      log.write('could not start', error)
      throw error
    } finally {
      log.close()
    }
  } finally {
    await lock.release()
  }
}

async function serve(options: RunHolderOptions, lock: HomeLock, log: DaemonLog): Promise<number> {
  const { home, change, environment, signal, onReady } = options
  const network = readNetworkOptions(environment)
  const settings = await changeHolderSettings(home.settingsFile, change)
  const keys = await home.openKeys(systemRandom)
  const machine = await machineTag(environment, keys.publicKeys.signing)
  const holder = await Holder.open({
    ...{ home, keys, settings, machine, network, log },
    tellDrive: tellOwnDrive(environment)
  }).catch((error: unknown) => {
    throw isDamage(error) ? damagedError(home, error) : error
  })
  const ending = new AbortController()
  const unwatch = watchFaults(log)
  const end = (): void => ending.abort()
  signal.addEventListener('abort', end, { once: true })
  let socket: PrivateSocket | undefined
  try {
    const path = await chooseSocketPath(home, environment)
    socket = await PrivateSocket.listen(path, (request, response) =>
      answer({ holder, end }, request, response)
    )
    await lock.describe({ pid: process.pid, command: 'host', socket: path })
    await holder.connect()
    await onReady(await holder.invite({ hours: CODE_HOURS }))
    log.write('ready')
    if (signal.aborted) end()
    await aborted(ending.signal)
  } finally {
    signal.removeEventListener('abort', end)
    await endInTime(holder, log)
    await socket?.close(ANSWER_GRACE_MS)
    unwatch()
  }
  return 0
}

function isDamage(error: unknown): boolean {
  const isKnown = error instanceof SyncError || error instanceof ReplicationError
  return isKnown && error.code === 'DAMAGED'
}

function damagedError({ directory }: HolderHome, cause: unknown): GroveError {
  return new GroveError(
    'DAMAGED',
    `what the holder keeps in ${directory} is damaged and was left as it is; begin anew in an empty home and have the new holder added`,
    { cause }
  )
}

/** A disk or a network that never answers must not keep the process. */
async function endInTime(holder: Holder, log: DaemonLog): Promise<void> {
  const timer = setTimeout(() => {
    log.write('the end takes too long; giving up')
    process.exit(1)
  }, END_MS_MAX)
  await holder.close()
  clearTimeout(timer)
  log.write('ended')
}

async function answer(
  { holder, end }: { readonly holder: Holder; readonly end: () => void },
  request: IncomingMessage,
  response: ServerResponse
): Promise<void> {
  response.setHeader('connection', 'close')
  try {
    const body = await readBody(request)
    const route = `${request.method ?? ''} ${request.url ?? ''}`
    sendJson(response, { status: 200, body: await dispatch(holder, route, body) })
    if (route === 'POST /v1/stop') end()
  } catch (error) {
    refuse(response, error)
  }
}

async function dispatch(holder: Holder, route: string, body: string): Promise<object> {
  switch (route) {
    case 'GET /v1/status':
      return holder.status()
    case 'POST /v1/invite':
      return holder.invite(parseHolderInviteRequest(body))
    case 'POST /v1/settings':
      await holder.change(parseHolderSettingsChange(body))
      return holder.invite({ hours: CODE_HOURS })
    case 'POST /v1/person':
      return holder.namePerson(parseNamePersonRequest(body))
    case 'POST /v1/stop':
      await holder.close()
      return {}
    default:
      throw new GroveError('USAGE', 'the holder knows no such request; is it another version?')
  }
}

/** After a fault that nobody caught nothing is to be trusted; what was signed is on the disk. */
function watchFaults(log: DaemonLog): () => void {
  const fault = (error: unknown): void => {
    log.write('fault', error)
    process.exit(1)
  }
  process.on('uncaughtException', fault)
  process.on('unhandledRejection', fault)
  return () => {
    process.off('uncaughtException', fault)
    process.off('unhandledRejection', fault)
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
}
