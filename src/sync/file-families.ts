/**
 * What the index keeps of families of files. A family that is one file, changed by one device
 * after another, needs no row: its inode, whose number it has, names its newest operation. Every
 * other has one, also a file that is gone: a late edit may bring it back.
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import type { Causality } from './file-family.ts'
import type { InodeRecord } from './inode-record.ts'
import type { LogNumbers } from './log-numbers.ts'
import { readId, writeId } from './operation-id.ts'
import type { OperationId } from './operation.ts'
import type { Table, TableSet } from './table.ts'

const TABLE_FAMILY = 13

/** A family. A value. */
export interface Family {
  /** Its number. */
  readonly number: number
  /** Whether it is of regular files, the only kind that can be written. */
  readonly isRegular: boolean
  /** The inodes of its files that have a name here or are open. */
  readonly inos: readonly number[]
  /** The newest of its operations: none of them saw another. */
  readonly frontier: readonly OperationId[]
  /** The operation that was added last. */
  readonly last: OperationId
  /** Whether it is one file, all of whose names are kept by a use. */
  readonly isSingle: boolean
}

/** All families. */
export class FileFamilies {
  readonly #inodes: Table<InodeRecord>
  readonly #rows: Table<Omit<Family, 'number'>>

  /** @param tables - where its table is added */
  constructor(tables: TableSet, logs: LogNumbers, inodes: Table<InodeRecord>) {
    this.#inodes = inodes
    this.#rows = tables.table({
      number: TABLE_FAMILY,
      encode: (out, row) => encodeFamily(out, row, logs),
      decode: bytes => decodeFamily(bytes, logs)
    })
  }

  /** @returns the family of that number, or undefined if there is none */
  get(number: number): Family | undefined {
    const record = this.#inodes.get(number)
    const last = record?.family?.last
    if (!record || !last) {
      const row = this.#rows.get(number)
      return row && { ...row, number }
    }
    const isRegular = record.kind === 'file'
    return { number, isRegular, inos: [number], frontier: [last], last, isSingle: true }
  }

  /** Sets a family, in its inode where that is enough. */
  put(family: Family): void {
    const { number, inos, frontier, last } = family
    const record = this.#inodes.get(number)
    const isInOne = family.isSingle && frontier.length === 1 && inos[0] === number
    if (record && inos.includes(number)) {
      const known = record.family
      const newest = isInOne ? last : undefined
      if (known?.number !== number || known.last !== newest) {
        const member = { number, last: newest, frontier: isInOne ? [] : (known?.frontier ?? []) }
        this.#inodes.put(number, '', { ...record, family: member })
      }
    }
    if (!isInOne) this.#rows.put(number, '', family)
    else if (this.#rows.get(number)) this.#rows.delete(number)
  }

  /** Takes an inode that is no more from its family. */
  dropInode({ ino, family }: InodeRecord): void {
    const found = family && this.get(family.number)
    if (!found) return
    this.put({ ...found, isSingle: false, inos: found.inos.filter(other => other !== ino) })
  }
}

/** The frontier after an operation. */
export function advanced(
  frontier: readonly OperationId[],
  by: OperationId,
  causality: Causality
): readonly OperationId[] {
  return [...frontier.filter(other => !causality.saw(by, other)), by]
}

function encodeFamily(out: ByteWriter, row: Omit<Family, 'number'>, logs: LogNumbers): void {
  out.u8((row.isRegular ? 1 : 0) + (row.isSingle ? 2 : 0))
  out.varint(row.inos.length)
  for (const ino of row.inos) out.varint(ino)
  out.varint(row.frontier.length)
  for (const id of row.frontier) writeId(out, id, logs)
  writeId(out, row.last, logs)
}

function decodeFamily(bytes: Uint8Array, logs: LogNumbers): Omit<Family, 'number'> {
  const reader = new ByteReader(bytes)
  const which = reader.u8()
  const inos = Array.from({ length: reader.count(1) }, () => reader.varint())
  const frontier = Array.from({ length: reader.count(3) }, () => readId(reader, logs))
  const last = readId(reader, logs)
  reader.end()
  return { isRegular: (which & 1) !== 0, isSingle: (which & 2) !== 0, inos, frontier, last }
}
