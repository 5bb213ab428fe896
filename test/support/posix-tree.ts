/**
 * A tree as POSIX has it: inodes that are changed in place, nothing of logs or versions. What
 * the model must equal as long as one device writes alone.
 *
 * @module
 */
import type { Timestamp } from '../../src/sync/clock.ts'
import type { Name, Piece } from '../../src/sync/operation.ts'
import { blockByte, type Command, type Path } from './model-command.ts'
import type { ModelNode, ModelTree } from './model.ts'

interface Inode {
  readonly kind: string
  mode: number
  uid: number
  atime: Timestamp
  mtime: Timestamp
  ctime: Timestamp
  bytes: Uint8Array
  readonly xattrs: Map<Name, Uint8Array>
  readonly children: Map<Name, Inode>
}

const EPOCH = { sec: 0, nsec: 0 }

/** The tree. */
export class PosixTree {
  readonly #root = makeInode('directory', 0o755, EPOCH)

  /** Does a command that can be done. */
  execute(command: Command): void {
    const { time } = command
    switch (command.type) {
      case 'create':
        return this.#put(command.path, makeInode(command.kind, command.mode, time), time)
      case 'mkdir':
        return this.#put(command.path, makeInode('directory', command.mode, time), time)
      case 'link':
        return this.#put(command.to, this.#at(command.from), time)
      case 'unlink':
      case 'rmdir':
        return void this.#take(command.path, time)
      case 'rename':
        if (this.#has(command.to)) this.#take(command.to, time)
        return this.#put(command.to, this.#take(command.from, time), time)
      case 'exchange': {
        const there = this.#take(command.to, time)
        this.#put(command.to, this.#take(command.from, time), time)
        return this.#put(command.from, there, time)
      }
      default:
        return change(this.#at(command.path), command)
    }
  }

  /** Its canonical text. */
  dump(): string {
    const linkCounts = new Map<Inode, number>()
    const count = (inode: Inode): void => {
      for (const child of inode.children.values()) {
        linkCounts.set(child, (linkCounts.get(child) ?? 0) + 1)
        count(child)
      }
    }
    count(this.#root)
    return dumpInode(this.#root, '', linkCounts).join('\n')
  }

  #at(path: Path): Inode {
    let inode = this.#root
    for (const name of path) {
      const next = inode.children.get(name)
      if (!next) throw new Error(`ENOENT ${path.join('/')}`)
      inode = next
    }
    return inode
  }

  #has(path: Path): boolean {
    return this.#at(path.slice(0, -1)).children.has(path.at(-1) as Name)
  }

  #put(path: Path, inode: Inode, time: Timestamp): void {
    const parent = this.#at(path.slice(0, -1))
    if (this.#has(path)) throw new Error(`EEXIST ${path.join('/')}`)
    parent.children.set(path.at(-1) as Name, inode)
    inode.ctime = time
    parent.mtime = parent.ctime = time
  }

  #take(path: Path, time: Timestamp): Inode {
    const inode = this.#at(path)
    const parent = this.#at(path.slice(0, -1))
    parent.children.delete(path.at(-1) as Name)
    inode.ctime = time
    parent.mtime = parent.ctime = time
    return inode
  }
}

/** The text of a model's tree in the same form. */
export function posixText(tree: ModelTree): string {
  return dumpModelNode(tree, '').join('\n')
}

function makeInode(kind: string, mode: number, time: Timestamp): Inode {
  return {
    ...{ kind, mode, uid: 0, atime: time, mtime: time, ctime: time },
    ...{ bytes: new Uint8Array(), xattrs: new Map(), children: new Map() }
  }
}

function change(
  inode: Inode,
  command: Extract<Command, { type: 'write' | 'truncate' | 'setattr' | 'setxattr' | 'removexattr' }>
): void {
  inode.ctime = command.time
  switch (command.type) {
    case 'write':
    case 'truncate': {
      const bytes = new Uint8Array(command.size)
      bytes.set(inode.bytes.subarray(0, command.size))
      if (command.type === 'write') for (const piece of command.pieces) lay(bytes, piece)
      inode.bytes = bytes
      inode.mtime = command.time
      return
    }
    case 'setattr':
      inode.mode = command.mode ?? inode.mode
      inode.uid = command.uid ?? inode.uid
      inode.mtime = command.mtime ?? inode.mtime
      return
    case 'setxattr':
      inode.xattrs.set(command.name, command.value)
      return
    case 'removexattr':
      inode.xattrs.delete(command.name)
  }
}

function lay(bytes: Uint8Array, piece: Piece): void {
  if (piece.kind === 'inline') bytes.set(piece.bytes, piece.offset)
  else {
    for (let i = 0; i < piece.length; i++) {
      const byte = piece.kind === 'hole' ? 0 : blockByte(piece.index, piece.blockOffset + i)
      bytes[piece.offset + i] = byte
    }
  }
}

function dumpInode(inode: Inode, path: string, linkCounts: ReadonlyMap<Inode, number>): string[] {
  const isDirectory = inode.kind === 'directory'
  const subdirectories = [...inode.children.values()].filter(child => child.kind === 'directory')
  const nlink = isDirectory ? 2 + subdirectories.length : (linkCounts.get(inode) ?? 0)
  return [
    line(path, { ...inode, nlink }),
    ...sorted(inode.children).flatMap(([name, child]) =>
      dumpInode(child, `${path}/${name}`, linkCounts)
    )
  ]
}

function dumpModelNode(node: ModelNode, path: string): string[] {
  const bytes = new Uint8Array(node.size)
  for (const run of node.content) {
    if (run.kind === 'inline') bytes.set(run.bytes, run.offset)
    else {
      for (let i = 0; i < run.length; i++) {
        bytes[run.offset + i] = blockByte(run.index, run.blockOffset + i)
      }
    }
  }
  return [
    line(path, { ...node, bytes }),
    ...sorted(node.children).flatMap(([name, child]) =>
      dumpModelNode(child.node, `${path}/${name}`)
    )
  ]
}

type Line = Omit<Inode, 'children' | 'xattrs'> & {
  readonly nlink: number
  readonly xattrs: ReadonlyMap<Name, Uint8Array>
}

function line(path: string, { kind, mode, uid, nlink, bytes, ...rest }: Line): string {
  const times = [rest.atime, rest.mtime, rest.ctime].map(({ sec, nsec }) => `${sec}.${nsec}`)
  const xattrs = sorted(rest.xattrs).map(([name, value]) => `${name}=${hex(value)}`)
  const attributes = [kind, mode.toString(8), uid, nlink, ...times, ...xattrs]
  return `${path || '/'} ${attributes.join(' ')} [${hex(bytes)}]`
}

function sorted<T>(map: ReadonlyMap<Name, T>): [Name, T][] {
  return [...map].sort(([left], [right]) => (left < right ? -1 : 1))
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
