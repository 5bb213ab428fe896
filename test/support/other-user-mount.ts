/**
 * What the drivers' tests do as a user who is not root, in a process of its own: mount through
 * fusermount3, use it, unmount, leave a dead mount and clear it. Prints what it saw. Its argument
 * is the driver.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { clearDeadMount } from '../../src/fs/fuse/clear-dead-mount.ts'
import { parseMountTable, type MountEntry } from '../../src/fs/fuse/mount-table.ts'
import { inProcess, MemoryMount, type MemoryMountDriver } from './memory-mount.ts'

/** What was seen. */
export interface OtherUserReport {
  /** The effective user. */
  readonly uid: number
  /** The mount as the table has it. */
  readonly entry: MountEntry | undefined
  /** What was read back. */
  readonly content: string
  /** The owner of a file that was made. */
  readonly owner: number
  /** The code of unmounting while a file is open. */
  readonly busy: unknown
  /** Whether it was still in the table after unmounting. */
  readonly isLeft: boolean
  /** The same after killing the daemon and clearing. */
  readonly isLeftWhenCleared: boolean
  /** What clearing said. */
  readonly cleared: string
}

const entryAt = (directory: string): MountEntry | undefined =>
  parseMountTable(readFileSync('/proc/self/mountinfo')).find(entry => entry.directory === directory)

async function observe(directory: string): Promise<OtherUserReport> {
  const mount = await MemoryMount.start({ directory, driver })
  const entry = entryAt(directory)
  const { content, owner, busy } = await inProcess((fs, at) => {
    fs.writeFileSync(`${at}/file`, 'mine')
    return {
      content: fs.readFileSync(`${at}/file`, 'utf8'),
      owner: fs.statSync(`${at}/file`).uid,
      busy: undefined
    }
  }, directory).then(async seen => ({ ...seen, busy: await codeOfBusy(mount) }))
  await mount.command('unmount', false)
  const isLeft = entryAt(directory) !== undefined
  mount.server.kill('SIGKILL')

  const second = await MemoryMount.start({ directory, driver })
  const ended = new Promise(resolve => second.server.once('exit', resolve))
  second.server.kill('SIGKILL')
  await ended
  const cleared = await clearDeadMount(directory)
  const isLeftWhenCleared = entryAt(directory) !== undefined
  const uid = process.geteuid?.() ?? -1
  return { uid, entry, content, owner, busy, isLeft, isLeftWhenCleared, cleared }
}

/** Unmounts while another process has a file open. */
async function codeOfBusy(mount: MemoryMount): Promise<unknown> {
  const { promise, finish } = holdOpen(join(mount.directory, 'file'))
  await promise
  const code = await mount.command('unmount', false).then(
    () => 'none',
    (error: unknown) => (error as { code?: unknown }).code
  )
  await finish()
  return code
}

function holdOpen(file: string): { promise: Promise<unknown>; finish: () => Promise<void> } {
  const child = spawn('sh', ['-c', `exec 3< ${file}; echo ready; read line`], { cwd: '/' })
  const closed = new Promise(resolve => child.once('close', resolve))
  return {
    promise: new Promise(resolve => child.stdout.once('data', resolve)),
    finish: async () => {
      child.kill('SIGKILL')
      await closed
    }
  }
}

const driver = (process.argv[2] ?? 'linux') as MemoryMountDriver
const directory = mkdtempSync(join(tmpdir(), 'grove-other-user-'))
observe(directory)
  .then(report => process.stdout.write(JSON.stringify(report)))
  .catch((error: unknown) => process.stderr.write(String(error)))
  .finally(() => rmdirSync(directory))
