/**
 * What the fuse-native driver cannot do, by the names of the suites' cases, with the reason.
 * README.md shows the same list. Nothing else of the suites may fail.
 *
 * @module
 */
import type { PosixExclusion } from '../../suites/posix-suite.ts'

const NO_CALLER = 'libfuse does not say who asks: what is made belongs to the user who mounts'
const NO_FLAGS = 'libfuse 2.9 has no renameat2(): flags are EINVAL'
const NO_FALLOCATE = 'fuse-native has no fallocate(): EOPNOTSUPP'
const MILLISECONDS = 'fuse-native cuts times to milliseconds'

/** Cases of the POSIX suite. */
export const FUSE_NATIVE_EXCLUSIONS: Readonly<Record<string, PosixExclusion>> = {
  'open(O_TMPFILE) makes a nameless file that linkat() can name': {
    reason: 'libfuse 2.9 has no O_TMPFILE: EOPNOTSUPP',
    run: true
  },
  'fallocate(1) grows, keeps the size and punches a hole': { reason: NO_FALLOCATE, run: true },
  'fallocate(1) zeroes a range, also beyond the end': { reason: NO_FALLOCATE, run: true },
  'fallocate(PUNCH_HOLE) gives the space back': { reason: NO_FALLOCATE, run: true },
  'lseek() finds data and holes': {
    reason: 'libfuse 2.9 has no SEEK_DATA and SEEK_HOLE: all of a file counts as data',
    run: true
  },
  'a working directory survives the renaming of its parent, and its own removal': {
    reason: 'it survives the renaming; of a removed directory libfuse has no path, so ENOENT',
    run: true
  },
  'renameat2(RENAME_NOREPLACE) moves onto nothing only': { reason: NO_FLAGS, run: true },
  'renameat2(RENAME_EXCHANGE) swaps anything with anything': { reason: NO_FLAGS, run: true },
  'touch -d sets times to the nanosecond, of files, directories and links': {
    reason: MILLISECONDS,
    run: true
  },
  'times before 1970 are kept': {
    reason: 'they are kept, and shown as 1970: fuse-native says no times before it',
    run: true
  },
  'times after 2106 are kept': { reason: `${MILLISECONDS}; they are kept`, run: true },
  'touch -m leaves atime and touch -a leaves mtime (UTIME_OMIT)': {
    reason: 'libfuse 2.9 drops a change of one time alone and says it was done',
    run: true
  },
  'in a sticky directory a user removes only what is theirs': { reason: NO_CALLER, run: true },
  'what another user makes is theirs': { reason: NO_CALLER, run: true },
  'a file that is replaced again and again is always read whole': {
    reason:
      'it is read whole, or ENOENT: libfuse has no path for a file that is replaced after the ' +
      'kernel has looked it up and before it opens it',
    run: false
  }
}

/** Cases of the suite of real tools. */
export const FUSE_NATIVE_TOOL_EXCLUSIONS: Readonly<Record<string, string>> = {
  tar: 'sets mtime alone, which libfuse 2.9 drops: files have the time of unpacking',
  rsync: `${MILLISECONDS}; all else is as it should be`,
  cp: `${MILLISECONDS}; all else is as it should be`
}
