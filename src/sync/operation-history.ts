/**
 * Every operation that counts, by its identity: what it is about, and for files what it does, so
 * that what became of a file can be derived again when an operation comes late, without reading
 * the logs. Rows stay when the file is gone: a late edit may bring it back.
 *
 * The operations of a family are a chain: each names the one that was added before it.
 *
 * @module
 */
import { KEPT_SLAB_BYTES, NO_BYTES, Slab } from '../crypto/slab.ts'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import type { FamilyEvent } from './file-family.ts'
import { readId, writeId } from './operation-id.ts'
import { LOG_KEY_BYTES, type LogKey } from './log.ts'
import type { LogNumbers } from './log-numbers.ts'
import { OWN_LOG_NUMBER, ROOT_LOG_NUMBER, type LogTable } from './log-table.ts'
import { OPERATION_TYPE_NUMBERS, readOperation, writeOperation } from './operation-codec.ts'
import { ROOT_LOG, type Operation, type OperationId } from './operation.ts'
import { operationSub } from './row-key.ts'
import { SyncError } from './sync-error.ts'
import type { Table, TableSet } from './table.ts'

const TABLE_OPERATION = 12
/** How many rows each half of the cache holds: they may be large and are seldom read again. */
const ROWS_CACHED_MAX = 4096

const MKDIR_NUMBER = OPERATION_TYPE_NUMBERS.mkdir
/** Numbers of logs in rows start above those that mean something else to the codec. */
const NUMBER_SHIFT = ROOT_LOG_NUMBER + 1
const UNKNOWN_LOG_NUMBER = 2 ** 32
/** Stands for a log that is not known: whoever names it cannot have seen it. */
const UNKNOWN_LOG = 'f'.repeat(2 * LOG_KEY_BYTES) as LogKey

/** An operation as a member of a family's chain. A value. */
export interface FamilyStep {
  /** The family. */
  readonly family: number
  /** The operation added to it before; undefined for the first. */
  readonly previous: OperationId | undefined
}

/** What an operation is about. A value. */
export interface HistoryRow {
  /** Its type. */
  readonly typeNumber: number
  /** The families it touches; of a mkdir one, which is the directory's inode number. */
  readonly steps: readonly FamilyStep[]
  /** Its body; empty for a mkdir. */
  readonly body: Uint8Array
}

/** All operations. */
export class OperationHistory {
  readonly #logs: LogNumbers
  readonly #rows: Table<HistoryRow>
  readonly #writer = new ByteWriter(1024)
  readonly #bodies = new Slab(KEPT_SLAB_BYTES)
  readonly #numbers: Pick<LogTable, 'numberOf' | 'logAt'>

  /** @param tables - where its table is added */
  constructor(tables: TableSet, logs: LogNumbers) {
    this.#logs = logs
    this.#rows = tables.table({
      number: TABLE_OPERATION,
      encode: (out, row) => encodeRow(out, row, logs),
      decode: bytes => decodeRow(bytes, logs),
      cachedMax: ROWS_CACHED_MAX
    })
    this.#numbers = {
      numberOf: log => (logs.find(log) ?? UNKNOWN_LOG_NUMBER) + NUMBER_SHIFT,
      logAt: number => logAt(number, logs)
    }
  }

  /** What is known of an operation; undefined if it was not seen or does nothing. */
  find(id: OperationId): HistoryRow | undefined {
    const log = this.#logs.find(id.log)
    return log === undefined ? undefined : this.#rows.get(id.index, operationSub(log, id.number))
  }

  /** Adds the operation that made a directory. */
  addDirectory(id: OperationId, ino: number): void {
    const steps = [{ family: ino, previous: undefined }]
    this.#put(id, { typeNumber: MKDIR_NUMBER, steps, body: NO_BYTES })
  }

  /** Adds an operation to families. */
  add({ id, operation }: FamilyEvent, steps: readonly FamilyStep[]): void {
    const out = this.#writer
    out.truncate(0)
    writeOperation(out, operation, { table: this.#numbers, index: id.index, number: id.number })
    const typeNumber = OPERATION_TYPE_NUMBERS[operation.type]
    this.#put(id, { typeNumber, steps, body: this.#bodies.copy(out.view()) })
  }

  /** A family's operations, newest first. @param last - the one that was added last */
  *eventsOf(family: number, last: OperationId): Iterable<FamilyEvent> {
    for (let id: OperationId | undefined = last; id;) {
      // A chain is gone through once in a while, and is long: it would drive out what is needed.
      const row: HistoryRow | undefined = this.#rows.peek(id.index, this.#subOf(id))
      const step = row?.steps.find(each => each.family === family)
      if (!row || !step) throw new SyncError('DAMAGED', 'a file has lost a part of its history')
      yield { id, operation: this.#operationOf(id, row) }
      id = step.previous
    }
  }

  #operationOf({ index, number }: OperationId, row: HistoryRow): Operation {
    return readOperation(row.typeNumber, row.body, { table: this.#numbers, index, number })
  }

  #put(id: OperationId, row: HistoryRow): void {
    this.#rows.put(id.index, this.#subOf(id), row)
  }

  /** The sub key of an operation of a log that is known. */
  #subOf({ log, number }: OperationId): string {
    return operationSub(this.#logs.numberOf(log), number)
  }
}

/** Whether an operation made a directory. */
export function isMkdir(row: HistoryRow): boolean {
  return row.typeNumber === MKDIR_NUMBER
}

const VERSION_NUMBERS: readonly number[] = [
  OPERATION_TYPE_NUMBERS.create,
  OPERATION_TYPE_NUMBERS.write,
  OPERATION_TYPE_NUMBERS.truncate
]

/** Whether an operation made a version of a file. */
export function isVersion(row: HistoryRow): boolean {
  return VERSION_NUMBERS.includes(row.typeNumber)
}

/** Whether an operation made a version that is not the first. */
export function isEdit(row: HistoryRow): boolean {
  return isVersion(row) && row.typeNumber !== OPERATION_TYPE_NUMBERS.create
}

/** Whether an operation's identity can be that of a link of a file. */
export function isFileLink(row: HistoryRow): boolean {
  return row.typeNumber === OPERATION_TYPE_NUMBERS.link || isVersion(row)
}

function logAt(number: number, logs: LogNumbers): LogKey {
  if (number === ROOT_LOG_NUMBER || number === OWN_LOG_NUMBER) return ROOT_LOG
  if (number === UNKNOWN_LOG_NUMBER + NUMBER_SHIFT) return UNKNOWN_LOG
  return logs.keyOf(number - NUMBER_SHIFT)
}

function encodeRow(out: ByteWriter, row: HistoryRow, logs: LogNumbers): void {
  out.u8(row.typeNumber)
  out.varint(row.steps.length)
  for (const { family, previous } of row.steps) {
    out.varint(family)
    out.u8(previous ? 1 : 0)
    if (previous) writeId(out, previous, logs)
  }
  out.bytes(row.body)
}

function decodeRow(bytes: Uint8Array, logs: LogNumbers): HistoryRow {
  const reader = new ByteReader(bytes)
  const typeNumber = reader.u8()
  const steps = Array.from({ length: reader.count(2) }, () => ({
    family: reader.varint(),
    previous: reader.u8() === 1 ? readId(reader, logs) : undefined
  }))
  return { typeNumber, steps, body: reader.bytes(reader.remaining).slice() }
}
