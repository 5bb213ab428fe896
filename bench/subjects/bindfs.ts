/**
 * bindfs: a C file system that passes everything on, so what it costs is what FUSE itself costs.
 *
 * @module
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isInstalled, run } from '../command.ts'
import { unmountFolder, waitForMount, type SubjectKind } from '../subject.ts'

/** bindfs with its own settings. */
export const bindfs: SubjectKind = {
  name: 'bindfs',
  async missing() {
    return (await isInstalled('bindfs')) ? undefined : 'bindfs is not installed'
  },
  async open(base) {
    const source = join(base, 'bindfs-source')
    const directory = join(base, 'bindfs')
    await mkdir(source)
    await mkdir(directory)
    const version = await run('bindfs', ['--version'])
    return {
      name: 'bindfs',
      directory,
      version: version.trim(),
      async mount() {
        await run('bindfs', [source, directory])
        await waitForMount(directory, true)
      },
      unmount: () => unmountFolder(directory, 'clean')
    }
  }
}
