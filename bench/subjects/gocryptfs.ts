/**
 * gocryptfs: an encrypting file system in Go, the nearest kin of a sealed drive.
 *
 * @module
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isInstalled, run } from '../command.ts'
import { unmountFolder, waitForMount, type SubjectKind } from '../subject.ts'

/** gocryptfs with its own settings, but for a quick password hash: mounting is not timed. */
export const gocryptfs: SubjectKind = {
  name: 'gocryptfs',
  async missing() {
    return (await isInstalled('gocryptfs')) ? undefined : 'gocryptfs is not installed'
  },
  async open(base) {
    const cipher = join(base, 'gocryptfs-cipher')
    const directory = join(base, 'gocryptfs')
    const passFile = join(base, 'gocryptfs-pass')
    await mkdir(cipher)
    await mkdir(directory)
    await writeFile(passFile, 'benchmark\n', { mode: 0o600 })
    await run('gocryptfs', ['-q', '-init', '-scryptn', '10', '-passfile', passFile, cipher])
    const [version = ''] = (await run('gocryptfs', ['-version'])).split(';')
    return {
      name: 'gocryptfs',
      directory,
      version: version.trim(),
      async mount() {
        await run('gocryptfs', ['-q', '-passfile', passFile, cipher, directory])
        await waitForMount(directory, true)
      },
      unmount: () => unmountFolder(directory, 'clean')
    }
  }
}
