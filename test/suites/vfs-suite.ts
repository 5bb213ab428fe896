/**
 * What every {@link Vfs} does: run on the model in memory, on the real one and on whatever wraps
 * either. A case gets a fresh, empty file system and the calls of a {@link VfsSession}.
 *
 * The cases lie beside this file, by what they are about. They ask for what Linux does, with the
 * errno that comes first there, and leave open what POSIX leaves open: the order of a listing,
 * the size of a directory, the grain of holes.
 *
 * @module
 */
import type { TAP, Test } from 'tap'
import { attributeCases } from './vfs/attribute-cases.ts'
import { contentCases } from './vfs/content-cases.ts'
import { directoryCases } from './vfs/directory-cases.ts'
import { lifetimeCases } from './vfs/lifetime-cases.ts'
import { nameCases } from './vfs/name-cases.ts'
import { renameCases } from './vfs/rename-cases.ts'
import { reopenCases } from './vfs/reopen-cases.ts'
import { CaseSession, type VfsCase, type VfsSupport, type VfsUnderTest } from './vfs/vfs-case.ts'
import { xattrCases } from './vfs/xattr-cases.ts'

/** How the suite makes what it tests. */
export interface VfsSubject {
  /** Makes an empty file system. */
  create(): Promise<VfsUnderTest>
  /** What to expect of it. */
  readonly supports: VfsSupport
}

/** Every case, by topic. */
const VFS_CASES: readonly (readonly VfsCase[])[] = [
  nameCases,
  renameCases,
  contentCases,
  attributeCases,
  lifetimeCases,
  directoryCases,
  xattrCases,
  reopenCases
]

/** Runs the suite: one subtest a case, each on a file system of its own. */
export function vfsSuite(t: TAP | Test, name: string, subject: VfsSubject): void {
  for (const vfsCase of VFS_CASES.flat()) {
    if (vfsCase.needs !== undefined && !subject.supports[vfsCase.needs]) continue
    t.test(`${name}: ${vfsCase.name}`, async subtest => {
      const made = await subject.create()
      try {
        await vfsCase.run(subtest, new CaseSession(made, made.vfs))
      } finally {
        await made.close()
      }
    })
  }
}
