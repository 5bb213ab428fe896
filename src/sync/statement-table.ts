/**
 * Statements about members and envelopes of keys that were merged: the index keeps them, because
 * the logs that they came in need not be read again.
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import type { LogNumbers } from './log-numbers.ts'
import type { EnvelopeOperation, OperationId, StatementOperation } from './operation.ts'
import { SyncError } from './sync-error.ts'
import type { Table, TableSet } from './table.ts'

/** The longest statement or envelope that is kept, in bytes; none is nearly as long. */
export const STATEMENT_BYTES_MAX = 64 * 1024

const TABLE_STATEMENT = 40
const KINDS = ['statement', 'envelope'] as const

/** Which of the two an operation carries. */
export type StatementKind = (typeof KINDS)[number]

interface StatementRow {
  readonly kind: StatementKind
  readonly bytes: Uint8Array
}

/** The statements and envelopes of an index. */
export class StatementTable {
  readonly #rows: Table<StatementRow>
  readonly #logs: LogNumbers

  /** @param tables - where its table is added */
  constructor(tables: TableSet, logs: LogNumbers) {
    this.#logs = logs
    this.#rows = tables.table({ number: TABLE_STATEMENT, encode, decode })
  }

  /** Keeps what an operation carries; one that is too long is no statement and is left out. */
  add(id: OperationId, { type, bytes }: StatementOperation | EnvelopeOperation): void {
    if (bytes.length > STATEMENT_BYTES_MAX) return
    const sub = subOf(id)
    this.#rows.put(this.#logs.numberOf(id.log), sub, { kind: type, bytes: bytes.slice() })
  }

  /** All of one kind, log by log in the order in which they were written. */
  *every(kind: StatementKind): Iterable<Uint8Array> {
    for (let log = 1; log < this.#logs.count; log++) {
      const rows = [...this.#rows.entries(log)].sort(([left], [right]) => (left < right ? -1 : 1))
      for (const [, row] of rows) if (row.kind === kind) yield row.bytes
    }
  }
}

/** A sub key that sorts as entry and operation. */
function subOf({ index, number }: OperationId): string {
  let sub = ''
  for (let shift = 2 ** 48; shift >= 1; shift /= 256) sub += byteOf(index, shift)
  for (let shift = 2 ** 24; shift >= 1; shift /= 256) sub += byteOf(number, shift)
  return sub
}

function byteOf(number: number, shift: number): string {
  return String.fromCharCode(Math.floor(number / shift) % 256)
}

function encode(out: ByteWriter, { kind, bytes }: StatementRow): void {
  out.u8(KINDS.indexOf(kind))
  out.bytes(bytes)
}

function decode(bytes: Uint8Array): StatementRow {
  const reader = new ByteReader(bytes)
  const kind = KINDS[reader.u8()]
  if (kind === undefined) throw new SyncError('DAMAGED', 'a row of the index has an unknown kind')
  return { kind, bytes: reader.bytes(reader.remaining).slice() }
}
