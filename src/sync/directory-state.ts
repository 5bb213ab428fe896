/**
 * What the merge keeps of a directory beside its attributes: for each attribute the operation
 * that set it last, which operations keep its name, and where it is.
 *
 * Each of these joins: the outcome does not depend on the order in which operations come, except
 * that what somebody saw comes before.
 *
 * @module
 */
import type { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import type { Causality } from './file-family.ts'
import { readId, writeId } from './operation-id.ts'
import type { LogNumbers } from './log-numbers.ts'
import type { Name, OperationId } from './operation.ts'

/** The attributes of a directory, each of which the last operation in order sets. */
export const DIRECTORY_REGISTERS = ['mode', 'uid', 'gid', 'atime', 'mtime', 'ctime'] as const

/** One of {@link DIRECTORY_REGISTERS}. */
export type DirectoryRegister = (typeof DIRECTORY_REGISTERS)[number]

/** Where a directory is. A value. */
export interface Placement {
  /** Inode number of the directory it is in. */
  readonly parent: number
  /** The name it wants there. */
  readonly name: Name
  /** The operation that put it there. */
  readonly by: OperationId
}

/** See the module comment. A value. */
export interface DirectoryState {
  /** For each attribute the operation that set it. */
  readonly setBy: Readonly<Record<DirectoryRegister, OperationId>>
  /** Uses that keep its name: those that no removal saw, and of them the newest only. */
  readonly namings: readonly OperationId[]
  /** The removal that came last, if any did. */
  readonly removal: OperationId | undefined
  /** Where it is, moves that would close a cycle left out; undefined for the root. */
  readonly place: Placement | undefined
}

/** A directory as the operation that makes it leaves it. */
export function newDirectory(made: OperationId, place: Placement | undefined): DirectoryState {
  const setBy = { mode: made, uid: made, gid: made, atime: made, mtime: made, ctime: made }
  return { setBy, namings: [made], removal: undefined, place }
}

/** A use that keeps the name, unless a removal of the same entry covers it. */
export function withNaming(
  state: DirectoryState,
  by: OperationId,
  causality: Causality
): DirectoryState {
  if (state.removal && isOfOneEntry(state.removal, by)) return state
  const others = state.namings.filter(naming => !causality.saw(by, naming))
  return { ...state, namings: [...others, by] }
}

/** A removal, which covers what its author saw and all of its own entry. */
export function withRemoval(
  state: DirectoryState,
  by: OperationId,
  causality: Causality
): DirectoryState {
  const namings = state.namings.filter(
    naming => !isOfOneEntry(naming, by) && !causality.saw(by, naming)
  )
  return { ...state, namings, removal: by }
}

function isOfOneEntry(left: OperationId, right: OperationId): boolean {
  return left.index === right.index && left.log === right.log
}

/** Appends a state. */
export function writeDirectoryState(
  out: ByteWriter,
  state: DirectoryState,
  logs: LogNumbers
): void {
  for (const register of DIRECTORY_REGISTERS) writeId(out, state.setBy[register], logs)
  out.varint(state.namings.length)
  for (const naming of state.namings) writeId(out, naming, logs)
  out.u8((state.removal ? 1 : 0) + (state.place ? 2 : 0))
  if (state.removal) writeId(out, state.removal, logs)
  if (!state.place) return
  out.varint(state.place.parent)
  out.u8(state.place.name.length)
  out.latin1(state.place.name)
  writeId(out, state.place.by, logs)
}

/** Takes a state. */
export function readDirectoryState(reader: ByteReader, logs: LogNumbers): DirectoryState {
  const [mode, uid, gid] = [readId(reader, logs), readId(reader, logs), readId(reader, logs)]
  const [atime, mtime, ctime] = [readId(reader, logs), readId(reader, logs), readId(reader, logs)]
  const namings = Array.from({ length: reader.count(3) }, () => readId(reader, logs))
  const which = reader.u8()
  return {
    setBy: { mode, uid, gid, atime, mtime, ctime },
    namings,
    removal: (which & 1) === 0 ? undefined : readId(reader, logs),
    place: (which & 2) === 0 ? undefined : readPlacement(reader, logs)
  }
}

function readPlacement(reader: ByteReader, logs: LogNumbers): Placement {
  const parent = reader.varint()
  const name = reader.latin1(reader.u8()) as Name
  return { parent, name, by: readId(reader, logs) }
}
