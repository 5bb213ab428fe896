/** A daemon that listens, with a drive and drivers that only remember what was asked of them. */
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import type { Test } from 'tap'
import { ApiClient } from '../../bin/api-client.ts'
import type { Context, Input } from '../../bin/command.ts'
import { Daemon } from '../../bin/daemon.ts'
import { DaemonLog } from '../../bin/daemon-log.ts'
import { Home } from '../../bin/home.ts'
import { HomeLock } from '../../bin/home-lock.ts'
import { FakeDrive, FakeDriver, type Journal } from './fake-drive.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** Starts it; the test's end ends it. */
export async function fakeDaemon(t: Test) {
  const folder = await temporaryFolder(t)
  const home = await Home.locate({ GROVE_HOME: join(folder, 'home') })
  await home.prepare()
  // Commands look for one; the fake drive needs no keys.
  await home.createKeyFile(Buffer.from('no keys'))
  const journal: Journal = []
  const drive = new FakeDrive(journal)
  const driver = new FakeDriver('linux', journal)
  const log = new DaemonLog(home.logFile)
  const tools = {
    linux: driver.mount,
    fuseNative: driver.mount,
    clearDeadMount: () => Promise.resolve('none' as const)
  }
  const renewed = new FakeDrive(journal)
  const renew = { failure: undefined as Error | undefined }
  const renewDrive = (): Promise<FakeDrive> => {
    journal.push('renew drive')
    return renew.failure === undefined ? Promise.resolve(renewed) : Promise.reject(renew.failure)
  }
  const daemon = new Daemon({ home, drive, renewDrive, tools, log })
  const socket = join(home.directory, 'daemon.sock')
  await daemon.listen(socket)
  const lock = await HomeLock.acquire(home.lockFile, {
    pid: process.pid,
    command: 'mount',
    socket
  })
  t.teardown(async () => {
    await daemon.end('the test is over')
    await daemon.ended
    await lock.release()
    log.close()
  })
  const client = await ApiClient.find(home, new AbortController().signal)
  if (client === undefined) throw new Error('the daemon is not found')
  const directory = join(folder, 'Grove')
  const mount = { directory, driver: 'auto', readOnly: false, allowOther: false } as const
  return { home, journal, drive, renewed, renew, driver, daemon, socket, client, directory, mount }
}

/** What a command wrote. */
export interface Written {
  /** Results. */
  stdout: string
  /** Progress and errors. */
  stderr: string
}

/** The world around a command, whose output is kept. */
export function fakeContext(
  home: Home,
  options: { readonly json?: boolean; readonly isTTY?: boolean; readonly columns?: number } = {}
): { readonly context: Context; readonly written: Written } {
  const { json = false, isTTY = false, columns = 80 } = options
  const written: Written = { stdout: '', stderr: '' }
  const output = (name: keyof Written) => ({
    isTTY,
    columns,
    write(piece: string | Uint8Array, done?: (error?: Error | null) => void) {
      written[name] += typeof piece === 'string' ? piece : Buffer.from(piece).toString('latin1')
      done?.()
    }
  })
  const context: Context = {
    environment: { GROVE_HOME: home.directory },
    stdout: output('stdout'),
    stderr: output('stderr'),
    // Nobody can be asked there.
    stdin: new PassThrough(),
    json,
    signal: new AbortController().signal
  }
  return { context, written }
}

/** The values of a command line. */
export function input(
  positional: readonly string[] = [],
  options: Readonly<Record<string, string | true>> = {}
): Input {
  return { positional, options: new Map(Object.entries(options)) }
}
