/**
 * One step of a random history on a file system, as a value: printed when a history fails, and
 * shrunk by fast-check. Places, handles and held inodes are named by small numbers that are taken
 * modulo what there is, so that a shorter history still means something.
 *
 * @module
 */
import fc from 'fast-check'
import {
  O_APPEND,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
  S_IFREG,
  S_IFSOCK
} from '../../src/fs/vfs.ts'

/**
 * A place: the n-th name that the tree has at that moment, or a path of directory names and a
 * last name, from the root or from a held inode.
 */
export type CommandPlace = ExistingPlace | PathPlace

/** The n-th of the names in the tree, in a fixed order, modulo how many there are. */
export interface ExistingPlace {
  /** Which. */
  readonly nth: number
  /** Of which names: those of directories, of regular files, or of all. */
  readonly among: 'directories' | 'files' | 'all'
}

/** A path, whether or not there is something. */
export interface PathPlace {
  /** Below {@link HELD_FROM} the root, else a held inode. */
  readonly base: number
  /** The directories on the way. */
  readonly path: readonly string[]
  /** The name, one character a byte. */
  readonly name: string
}

/** From this number on, {@link PathPlace.base} means a held inode. */
export const HELD_FROM = 12

/** What setattr is asked to change. */
export interface CommandChanges {
  /** Permission bits. */
  readonly mode?: number
  /** Owner. */
  readonly uid?: number
  /** Group. */
  readonly gid?: number
  /** Size in bytes. */
  readonly size?: number
  /** Access time: seconds, or now. */
  readonly atime?: number | 'now'
  /** Modification time: seconds, or now. */
  readonly mtime?: number | 'now'
  /** Clear set-user-ID and set-group-ID. */
  readonly killPrivileges?: boolean
}

/** An extended attribute's name, one character a byte. */
type XattrName = string

/** A step that is told apart by nothing but its kind, one type for each. */
type Each<Kind extends string, Rest> = Kind extends string ? { readonly kind: Kind } & Rest : never

/** A step at a place. */
export type PlaceCommand =
  | Each<
      'lookup' | 'unlink' | 'rmdir' | 'hold' | 'readlink' | 'list' | 'opendir',
      { readonly at: CommandPlace }
    >
  | Each<'mkdir' | 'mknod', { readonly at: CommandPlace; readonly mode: number }>
  | Each<'symlink', { readonly at: CommandPlace; readonly length: number }>
  | Each<
      'create' | 'tmpfile' | 'open',
      { readonly at: CommandPlace; readonly flags: number; readonly mode: number }
    >
  | Each<'setattr', { readonly at: CommandPlace; readonly changes: CommandChanges }>
  | Each<'getxattr' | 'removexattr', { readonly at: CommandPlace; readonly xattr: XattrName }>
  | Each<
      'setxattr',
      {
        readonly at: CommandPlace
        readonly xattr: XattrName
        readonly length: number
        readonly mode: 'set' | 'create' | 'replace'
      }
    >

/** A step that takes two places. */
export type TwoPlacesCommand =
  | Each<'link', { readonly from: CommandPlace; readonly to: CommandPlace }>
  | Each<
      'rename',
      {
        readonly from: CommandPlace
        readonly to: CommandPlace
        readonly mode: 'replace' | 'noreplace' | 'exchange'
      }
    >

/** A step on an inode that is remembered, which may have lost its names. */
export type HeldCommand =
  | Each<'forget held' | 'getattr held', { readonly held: number }>
  | Each<'link held', { readonly held: number; readonly to: CommandPlace }>
  | Each<'open held', { readonly held: number; readonly flags: number }>
  | Each<'setattr held', { readonly held: number; readonly changes: CommandChanges }>

/** A step on an open file. */
export type HandleCommand =
  | Each<'flush' | 'fsync' | 'fsync later' | 'release', { readonly handle: number }>
  | Each<
      'write',
      {
        readonly handle: number
        readonly offset: number
        readonly length: number
        readonly seed: number
        readonly killPrivileges: boolean
      }
    >
  | Each<'read', { readonly handle: number; readonly offset: number; readonly length: number }>
  | Each<
      'fallocate',
      {
        readonly handle: number
        readonly mode: number
        readonly offset: number
        readonly length: number
      }
    >
  | Each<
      'seek',
      { readonly handle: number; readonly offset: number; readonly whence: 'data' | 'hole' }
    >
  | Each<
      'copy',
      {
        readonly handle: number
        readonly to: number
        readonly fromOffset: number
        readonly toOffset: number
        readonly length: number
      }
    >

/** A step on an open directory. */
export type DirectoryCommand =
  | Each<'readdir', { readonly directory: number; readonly rows: number }>
  | Each<'releasedir', { readonly directory: number }>

/** A step on the whole. */
export type WholeCommand =
  | Each<'syncfs', unknown>
  | Each<'tick', { readonly ms: number }>
  | Each<'reopen', { readonly releaseFirst: boolean }>

/** One step. */
export type VfsCommand =
  PlaceCommand | TwoPlacesCommand | HeldCommand | HandleCommand | DirectoryCommand | WholeCommand

const KIB = 1024
const LONG = 'x'.repeat(254)

const index = fc.nat(63)
// Few names, so that steps meet: some mostly for files, some mostly for directories, which are
// the ones that paths lead through.
const rare = fc.constantFrom('A', '\xff\xfe', '\xc3\xa4', `${LONG}y`, `${LONG}yz`)
const fileName = fc.constantFrom('a', 'b', 'c')
const directoryName = fc.constantFrom('d', 'e')
const directories = fc.oneof(
  { weight: 4, arbitrary: fc.constant<string[]>([]) },
  { weight: 3, arbitrary: fc.constantFrom(['d'], ['e'], ['d', 'e']) },
  { weight: 1, arbitrary: fc.array(fc.constantFrom('a', 'd', 'e'), { maxLength: 3 }) }
)
const pathOf = (files: number, folders: number): fc.Arbitrary<PathPlace> =>
  fc.record({
    base: fc.nat(HELD_FROM + 1),
    path: directories,
    name: fc.oneof(
      { weight: files, arbitrary: fileName },
      { weight: folders, arbitrary: directoryName },
      { weight: 1, arbitrary: rare }
    )
  })
const existing = (among: ExistingPlace['among']): fc.Arbitrary<ExistingPlace> =>
  fc.record({ nth: index, among: fc.constant(among) })
const mostly = (one: fc.Arbitrary<CommandPlace>, other: fc.Arbitrary<CommandPlace>) =>
  fc.oneof({ weight: 4, arbitrary: one }, { weight: 1, arbitrary: other })

const newFile = mostly(pathOf(30, 2), existing('all'))
const newDirectory = mostly(pathOf(2, 30), existing('all'))
const something = mostly(existing('all'), pathOf(20, 12))
const someFile = mostly(existing('files'), something)
const someDirectory = mostly(existing('directories'), something)
const anywhere = fc.oneof(pathOf(20, 12), existing('all'))
const access = fc.constantFrom(O_RDWR, O_RDWR, O_RDWR, O_RDONLY, O_WRONLY)
const flags = fc
  .tuple(access, fc.constantFrom(0, 0, 0, 0, O_APPEND, O_TRUNC, O_APPEND | O_TRUNC))
  .map(([one, other]) => one | other)
const mode = fc.constantFrom(0o644, 0o755, 0o4755, 0o2775, 0o2745, 0o6777, 0o1777, 0)
const near = (at: number) => fc.integer({ min: Math.max(0, at - 2), max: at + 2 })
const offset = fc.oneof(
  { weight: 8, arbitrary: fc.nat(64) },
  { weight: 8, arbitrary: fc.constantFrom(4 * KIB, 32 * KIB, 64 * KIB, 128 * KIB).chain(near) },
  { weight: 8, arbitrary: fc.nat(200 * KIB) },
  { weight: 1, arbitrary: fc.constantFrom(1024 ** 4, 5 * 1024 ** 4 + 17) }
)
const length = fc.oneof(
  { weight: 6, arbitrary: fc.nat(100) },
  { weight: 5, arbitrary: fc.constantFrom(4 * KIB, 32 * KIB, 64 * KIB, 128 * KIB).chain(near) },
  { weight: 4, arbitrary: fc.nat(150 * KIB) }
)
const seconds = fc.constantFrom('now' as const, 0, -1, -2_147_483_649, 4_294_967_296, 1_700_000_000)
const owners = {
  mode,
  uid: fc.constantFrom(0, 1000, 4_294_967_294),
  gid: fc.constantFrom(0, 1000, 65_536)
}
const times = { atime: seconds, mtime: seconds }
const size = fc.oneof(
  { weight: 8, arbitrary: offset },
  { weight: 1, arbitrary: fc.constantFrom(-1, 2 ** 60) }
)
const killPrivileges = fc.constant(true)
const changes: fc.Arbitrary<CommandChanges> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ ...owners, ...times }, { requiredKeys: [] }) },
  { weight: 3, arbitrary: fc.record({ size, killPrivileges }, { requiredKeys: ['size'] }) },
  {
    weight: 1,
    arbitrary: fc.record({ ...owners, ...times, size, killPrivileges }, { requiredKeys: [] })
  }
)
const xattr = fc.constantFrom(
  'user.a',
  'user.a',
  'user.a',
  'user.a',
  'user.b',
  'user.\xff',
  'trusted.t',
  'security.s',
  'system.posix_acl_access',
  'user.'
)

type Weighted = readonly [weight: number, steps: fc.Arbitrary<VfsCommand>]

const arbitraries: readonly Weighted[] = [
  // Cutting and growing the same few files: what was cut must not come back.
  [
    5,
    fc.record({ kind: fc.constant('setattr'), at: someFile, changes: fc.record({ size: offset }) })
  ],
  [6, fc.record({ kind: fc.constantFrom('lookup', 'readlink', 'list'), at: something })],
  [6, fc.record({ kind: fc.constantFrom('unlink', 'rmdir'), at: something })],
  [3, fc.record({ kind: fc.constant('hold'), at: something })],
  [9, fc.record({ kind: fc.constant('mkdir'), at: newDirectory, mode })],
  [
    2,
    fc.record({
      kind: fc.constant('mknod'),
      at: newFile,
      mode: fc
        .tuple(fc.constantFrom(S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK), mode)
        .map(([type, bits]) => type | bits)
    })
  ],
  [
    2,
    fc.record({ kind: fc.constant('symlink'), at: newFile, length: fc.constantFrom(1, 9, 4095) })
  ],
  [4, fc.record({ kind: fc.constant('link'), from: someFile, to: newFile })],
  [2, fc.record({ kind: fc.constant('link held'), held: index, to: newFile })],
  ...[something, someFile, someDirectory].map((from): Weighted => [
    4,
    fc.record({
      kind: fc.constant('rename'),
      from,
      to: anywhere,
      mode: fc.constantFrom('replace', 'replace', 'replace', 'noreplace', 'exchange')
    })
  ]),
  [14, fc.record({ kind: fc.constant('create'), at: newFile, flags, mode })],
  [
    2,
    fc.record({
      kind: fc.constant('tmpfile'),
      at: anywhere,
      flags: fc.constantFrom(O_RDWR, O_RDWR | O_EXCL),
      mode
    })
  ],
  [6, fc.record({ kind: fc.constant('open'), at: someFile, flags, mode })],
  [2, fc.record({ kind: fc.constant('open held'), held: index, flags })],
  [
    26,
    fc.record({
      kind: fc.constant('write'),
      handle: index,
      offset,
      length,
      seed: fc.nat(1000),
      killPrivileges: fc.boolean()
    })
  ],
  [10, fc.record({ kind: fc.constant('read'), handle: index, offset, length })],
  [
    8,
    fc.record({
      kind: fc.constantFrom('flush', 'fsync', 'fsync later', 'release', 'release'),
      handle: index
    })
  ],
  [
    5,
    fc.record({
      kind: fc.constant('fallocate'),
      handle: index,
      mode: fc.constantFrom(0, 1, 3, 3, 16, 17, 2, 8),
      offset,
      length
    })
  ],
  [
    4,
    fc.record({
      kind: fc.constant('seek'),
      handle: index,
      offset,
      whence: fc.constantFrom('data', 'hole')
    })
  ],
  [
    5,
    fc.record({
      kind: fc.constant('copy'),
      handle: index,
      to: index,
      fromOffset: offset,
      toOffset: offset,
      length
    })
  ],
  [9, fc.record({ kind: fc.constant('setattr'), at: something, changes })],
  [2, fc.record({ kind: fc.constant('setattr held'), held: index, changes })],
  [
    7,
    fc.record({
      kind: fc.constant('setxattr'),
      at: something,
      xattr,
      length: fc.constantFrom(0, 1, 100, 65_536),
      mode: fc.constantFrom('set', 'create', 'replace')
    })
  ],
  [3, fc.record({ kind: fc.constantFrom('getxattr', 'removexattr'), at: something, xattr })],
  [3, fc.record({ kind: fc.constantFrom('forget held', 'getattr held'), held: index })],
  [3, fc.record({ kind: fc.constant('opendir'), at: someDirectory })],
  [
    9,
    fc.record({
      kind: fc.constant('readdir'),
      directory: index,
      rows: fc.integer({ min: 1, max: 5 })
    })
  ],
  [1, fc.record({ kind: fc.constant('releasedir'), directory: index })],
  [1, fc.constant<VfsCommand>({ kind: 'syncfs' })],
  [6, fc.record({ kind: fc.constant('tick'), ms: fc.constantFrom(1, 50, 201, 5000) })]
]

/**
 * Random histories.
 *
 * @param options - `steps` is the longest history; `reopen` mixes in steps that close and reopen
 */
export function vfsHistories(options: {
  readonly steps: number
  readonly reopen: boolean
}): fc.Arbitrary<readonly VfsCommand[]> {
  const reopen = fc.record({ kind: fc.constant('reopen' as const), releaseFirst: fc.boolean() })
  const command = fc.oneof(...arbitraries.map(([weight, arbitrary]) => ({ weight, arbitrary })), {
    weight: options.reopen ? 2 : 0,
    arbitrary: reopen
  })
  return fc.array(command, { maxLength: options.steps, minLength: 1, size: 'max' })
}
