/**
 * The folder itself, on the disk that all subjects share.
 *
 * @module
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../command.ts'
import type { SubjectKind } from '../subject.ts'

/** The native folder. */
export const native: SubjectKind = {
  name: 'native',
  async missing() {
    return undefined
  },
  async open(base) {
    const directory = join(base, 'native')
    await mkdir(directory)
    const type = await run('stat', ['-f', '-c', '%T', directory])
    return {
      name: 'native',
      directory,
      version: type.trim(),
      async mount() {},
      async unmount() {}
    }
  }
}
