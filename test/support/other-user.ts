/**
 * A part of a test that runs as a user who is not root. Where /dev/fuse is open to root alone it
 * gets a name space of mounts of its own, in which it is open to all: what is tested is our
 * driver, not how this machine was set up.
 *
 * @module
 */
import { execFileSync } from 'node:child_process'
import { accessSync, constants, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ifMountable, run } from './memory-mount.ts'

/** The user that belongs to nobody. */
export const NOBODY = 65_534

/** Options of a test that does it: it is skipped, with the reason, where it cannot be done. */
export function ifOtherUser(): { readonly skip: string | false } {
  const skip = ifMountable().skip === false ? whyNoOtherUser() : ifMountable().skip
  return { skip }
}

function whyNoOtherUser(): string | false {
  if (process.geteuid?.() !== 0) return 'only root can become another user'
  for (const program of ['unshare', 'setpriv', 'mknod', 'fusermount3'])
    if (!existsSync(join('/usr/bin', program))) return `${program} is missing`
  try {
    accessSync('/dev/fuse', constants.R_OK)
  } catch {
    return '/dev/fuse is missing or may not be opened'
  }
  return false
}

/** Runs a TypeScript program as {@link NOBODY} and gives what it wrote. */
export async function runAsNobody(program: string, args: readonly string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'grove-nobody-'))
  const device = join(folder, 'fuse')
  try {
    execFileSync('mknod', ['-m', '666', device, 'c', '10', '229'])
    const typescript = process.execArgv.filter(each => each.includes('@tapjs/typescript'))
    const script = `
      mount --bind "$1" /dev/fuse && shift &&
      exec setpriv --reuid ${NOBODY} --regid ${NOBODY} --clear-groups "$@"`
    const command = [process.execPath, ...typescript, program, ...args]
    const shell = ['sh', '-c', script, 'sh', device, ...command]
    return await run('unshare', ['--mount', '--propagation', 'private', ...shell])
  } finally {
    rmSync(folder, { recursive: true })
  }
}
