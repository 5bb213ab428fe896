/**
 * What is measured: a folder that some file system serves.
 *
 * All subjects of a run live below one temporary folder, so they share one disk. A subject
 * mounts, unmounts and looks at its own mount only through child processes.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { pause, run } from './command.ts'

/** How long a mount may take to appear or to go away. */
export const MOUNT_MS_MAX = 30_000

/** The names of the subjects, in the order of the table. */
export const SUBJECT_NAMES = ['native', 'bindfs', 'gocryptfs', 'grove'] as const

/** The name of a subject. */
export type SubjectName = (typeof SUBJECT_NAMES)[number]

/** A folder to measure. */
export interface Subject {
  /** What it is called in the table. */
  readonly name: SubjectName
  /** Absolute path of the folder. */
  readonly directory: string
  /** Which version it is, for the record. */
  readonly version: string
  /** Serves the folder. */
  readonly mount: () => Promise<void>
  /** Ends the serving process and everything it remembers; what was written is kept. */
  readonly unmount: () => Promise<void>
}

/** Makes a subject below a folder, or says why it cannot be had. */
export interface SubjectKind {
  /** What it is called. */
  readonly name: SubjectName
  /** @returns what is missing here, in words, or undefined when it can be opened */
  missing(): Promise<string | undefined>
  /** Prepares the folders of a subject below `base`. It is not mounted yet. */
  open(base: string): Promise<Subject>
}

/** Whether something is mounted at this path; asks the kernel's list, not the mount. */
export function isMounted(directory: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .some(line => line.split(' ')[4]?.replaceAll('\\040', ' ') === directory)
}

/** Waits until a path is mounted, or no longer is. */
export async function waitForMount(directory: string, wanted: boolean): Promise<void> {
  for (let waitedMs = 0; isMounted(directory) !== wanted; waitedMs += 20) {
    if (waitedMs > MOUNT_MS_MAX)
      throw new Error(`${directory} is ${wanted ? 'not' : 'still'} mounted after ${waitedMs} ms`)
    await pause(20)
  }
}

/** Unmounts with the system's own tool. @param how - `lazy` detaches even a dead mount */
export async function unmountFolder(directory: string, how: 'clean' | 'lazy'): Promise<void> {
  if (!isMounted(directory)) return
  const lazy = how === 'lazy'
  if (process.getuid?.() === 0) await run('umount', [...(lazy ? ['-l'] : []), directory])
  else await run('fusermount3', [lazy ? '-uz' : '-u', directory])
  await waitForMount(directory, false)
}
