/**
 * An index that is given operations of devices one at a time, for tests that spell out who saw
 * what.
 *
 * @module
 */
import { applyOperation } from '../../src/sync/apply-operation.ts'
import { logKey, type LogKey } from '../../src/sync/log.ts'
import {
  ROOT_ID,
  type Name,
  type NodeKind,
  type Operation,
  type OperationId
} from '../../src/sync/operation.ts'
import type { TreeIndex } from '../../src/sync/tree-index.ts'
import { filled } from './bytes.ts'
import { openIndex } from './memory-index.ts'

/** Logs of devices, in the order in which operations of one lamport come. */
export const DEVICE_LOGS = ['a1', 'b1', 'c1'].map(digits => logKey(digits.repeat(32))) as [
  LogKey,
  LogKey,
  LogKey
]

const OWNER = { uid: 1, gid: 1 }

/** Time that long after 1970. */
export const at = (sec: number) => ({ sec, nsec: 0 })

/** Makes a file. */
export function createOf(name: string, parent = ROOT_ID, kind: NodeKind = 'file'): Operation {
  const node = { kind, mode: 0o644, ...OWNER, rdev: 0, target: new Uint8Array(0) }
  return { type: 'create', parent, name: name as Name, ...node, time: at(1) }
}

/** Makes a directory. */
export function mkdirOf(name: string, parent = ROOT_ID): Operation {
  return { type: 'mkdir', parent, name: name as Name, mode: 0o755, ...OWNER, time: at(1) }
}

/** Writes three bytes at the start of a file. */
export function writeOf(inode: OperationId, base: OperationId, value: number): Operation {
  const pieces = [{ kind: 'inline' as const, offset: 0, bytes: filled(3, value) }]
  return { type: 'write', inode, through: inode, base, pieces, size: 3, time: at(2) }
}

/** Removes a name of the root. */
export function unlinkOf(link: OperationId, parent = ROOT_ID): Operation {
  return { type: 'unlink', parent, links: [link], time: at(3) }
}

/** Moves a name of the root. */
export function renameOf(
  link: OperationId,
  name: string,
  places: { readonly from?: OperationId; readonly parent?: OperationId } = {}
): Operation {
  const { from = ROOT_ID, parent = ROOT_ID } = places
  return {
    ...{ type: 'rename', links: [link], from, parent, name: name as Name },
    ...{ replaced: [], time: at(4) }
  }
}

/** See the module comment. */
export class TwoDeviceIndex {
  /** The index. */
  readonly index: TreeIndex
  /** Inodes that are open. */
  readonly open = new Set<number>()
  readonly #lengths = new Map<LogKey, number>()

  private constructor(index: TreeIndex) {
    this.index = index
    index.deviceOf = log => `device ${DEVICE_LOGS.indexOf(log) + 1}`
  }

  /** Makes an empty one. */
  static async create(): Promise<TwoDeviceIndex> {
    return new TwoDeviceIndex(await openIndex())
  }

  /**
   * Merges an entry of one operation.
   *
   * @param seen - how many entries of other logs its author had merged; absent for all
   * @returns its identity
   */
  merge(
    log: LogKey,
    operation: Operation,
    seen: ReadonlyMap<LogKey, number> = this.#lengths
  ): OperationId {
    const id = { log, index: this.#lengths.get(log) ?? 0, number: 0 }
    const causes = new Map([...seen].filter(([other]) => other !== log))
    causes.set(log, id.index)
    const lamports = [...causes].map(([other, length]) =>
      length === 0 ? 0 : (this.index.recordedEntry(other, length - 1)?.lamport ?? 0)
    )
    const lamport = 1 + Math.max(0, ...lamports)
    this.index.recordEntry({ log, index: id.index, lamport, time: at(60 * lamport), seen: causes })
    this.#apply(id, operation)
    return id
  }

  /** Executes an operation here: it has seen everything. @returns its identity */
  execute(operation: Operation): OperationId {
    const [log] = DEVICE_LOGS
    const id = { log, index: this.#lengths.get(log) ?? 0, number: 0 }
    this.index.openEntry({ log, index: id.index, time: at(60) })
    this.#apply(id, operation)
    return id
  }

  /** Names of the root and what they stand for. */
  names(): Record<string, number> {
    return Object.fromEntries([...this.index.list(1).values()].map(({ name, ino }) => [name, ino]))
  }

  /** The three bytes at the start of a file. */
  bytes(ino: number): number[] {
    return [...this.index.content.inlineBytes(ino, { from: 0, to: 3 })]
  }

  #apply(id: OperationId, operation: Operation): void {
    this.#lengths.set(id.log, id.index + 1)
    applyOperation(this.index, id, operation, { isOpen: ino => this.open.has(ino) })
    this.index.settle()
  }
}
