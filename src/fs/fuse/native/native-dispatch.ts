/**
 * Connects fuse-native's operations to {@link PathOperations}. Every request gets exactly one
 * reply, whatever happens: an unforeseen failure is EIO and reported, for a program whose request
 * stays unanswered cannot even be killed.
 *
 * fuse-native calls `_op_NAME(signal, ...)` on its object; `signal` is the reply. What it wraps
 * around the kernel's memory is gone with the reply, so nothing keeps a buffer beyond it.
 *
 * There is no `flush`: after the directory of an open file has vanished libfuse calls it without
 * a path, and fuse-native then passes on whatever lies on its stack, as if it were a value. A
 * commit is queued by `release` all the same.
 * There is no `create`: it is told neither the flags nor that the name is to be new. The kernel
 * makes the node and opens it instead.
 *
 * @module
 */
import type { MaybePromise } from '../../vfs.ts'
import { errnoOf, type ReportFault } from '../errno.ts'
import type { PathOperations } from './path-operations.ts'
import { wideNumber } from './stat-words.ts'

/** The place of `utimens` among fuse-native's handlers. */
export const UTIMENS_HANDLER = 12
/** Where fuse-native 2.2.6 keeps the times of utimens in its native buffer, on 64-bit machines. */
const ATIME_OFFSET = 104
const MTIME_OFFSET = 112

/** Replies to one request: 0, a count or a negative errno, then what the request asked for. */
export type Signal = (result: number, ...payload: readonly unknown[]) => void

/** What is called for a request of the kernel. */
export type NativeHandler = (
  thread: Uint8Array,
  opcode: number,
  ...args: readonly unknown[]
) => void

/** `_op_NAME` functions by their names. */
export type NativeOperations = Readonly<
  Record<`_op_${string}`, (signal: Signal, ...args: never) => void>
>

/** What a reply is made of; see {@link Signal}. */
type Reply = readonly [result: number, ...payload: readonly unknown[]]

const DONE: Reply = [0]

/** See the module. */
export class NativeDispatch {
  readonly #operations: PathOperations
  readonly #report: ReportFault
  readonly #idle: (() => void)[] = []
  #underWay = 0

  /** @param report - told of failures that nobody foresaw */
  constructor(operations: PathOperations, report: ReportFault) {
    this.#operations = operations
    this.#report = report
  }

  /** Resolves when no request is under way. */
  async drained(): Promise<void> {
    if (this.#underWay === 0) return Promise.resolve()
    return new Promise(resolve => this.#idle.push(resolve))
  }

  /** Everything that fuse-native may call. */
  handlers(): NativeOperations {
    return { ...this.#nodeHandlers(), ...this.#fileHandlers(), ...this.#xattrHandlers() }
  }

  #nodeHandlers() {
    const fs = this.#operations
    const serve = this.#serve.bind(this)
    return {
      _op_getattr: (signal: Signal, path: string) =>
        serve('getattr', signal, () => [0, fs.getattr(path)]),
      _op_readlink: (signal: Signal, path: string) =>
        serve('readlink', signal, () => [0, fs.readlink(path)]),
      _op_readdir: (signal: Signal, path: string) =>
        serve('readdir', signal, () => {
          const { names, stats } = fs.readdir(path)
          return [0, names, stats]
        }),
      _op_mknod: (signal: Signal, path: string, mode: number, rdev: number) =>
        serve('mknod', signal, () => whenDone(fs.mknod(path, mode, rdev))),
      _op_mkdir: (signal: Signal, path: string, mode: number) =>
        serve('mkdir', signal, () => whenDone(fs.mkdir(path, mode))),
      _op_symlink: (signal: Signal, target: string, path: string) =>
        serve('symlink', signal, () => whenDone(fs.symlink(target, path))),
      _op_link: (signal: Signal, from: string, to: string) =>
        serve('link', signal, () => whenDone(fs.link(from, to))),
      _op_unlink: (signal: Signal, path: string) =>
        serve('unlink', signal, () => whenDone(fs.unlink(path))),
      _op_rmdir: (signal: Signal, path: string) =>
        serve('rmdir', signal, () => whenDone(fs.rmdir(path))),
      _op_rename: (signal: Signal, from: string, to: string) =>
        serve('rename', signal, () => whenDone(fs.rename(from, to))),
      _op_chmod: (signal: Signal, path: string, mode: number) =>
        serve('chmod', signal, () => whenDone(fs.chmod(path, mode))),
      _op_chown: (signal: Signal, path: string, uid: number, gid: number) =>
        serve('chown', signal, () => whenDone(fs.chown(path, uid, gid))),
      _op_truncate: (signal: Signal, path: string, low: number, high: number) =>
        serve('truncate', signal, () => whenDone(fs.truncate(path, wideNumber(low, high)))),
      _op_utimens: (signal: Signal, path: string, ...times: readonly number[]) =>
        serve('utimens', signal, () => {
          const [atimeMs, mtimeMs] = bothTimes(times)
          return whenDone(fs.utimens(path, atimeMs, mtimeMs))
        }),
      _op_fsyncdir: (signal: Signal, path: string) =>
        serve('fsyncdir', signal, () => whenDone(fs.fsyncdir(path))),
      _op_statfs: (signal: Signal) => serve('statfs', signal, () => [0, fs.statfs()])
    }
  }

  #fileHandlers() {
    const fs = this.#operations
    const serve = this.#serve.bind(this)
    return {
      _op_open: (signal: Signal, path: string, flags: number) =>
        serve('open', signal, () => whenKnown(fs.open(path, flags), file => [0, file])),
      _op_fgetattr: (signal: Signal, path: string, file: number) =>
        serve('fgetattr', signal, () => [0, fs.fgetattr(path, file)]),
      _op_ftruncate: (signal: Signal, _path: string, file: number, low: number, high: number) =>
        serve('ftruncate', signal, () => whenDone(fs.ftruncate(file, wideNumber(low, high)))),
      _op_read: (
        signal: Signal,
        _path: string,
        file: number,
        into: Uint8Array,
        _length: number,
        ...offset: [low: number, high: number]
      ) =>
        serve(
          'read',
          (result: number) => signal(result, 0, into.buffer),
          () => whenKnown(fs.read(file, into, wideNumber(...offset)), count => [count])
        ),
      _op_write: (
        signal: Signal,
        _path: string,
        file: number,
        data: Uint8Array,
        _length: number,
        ...offset: [low: number, high: number]
      ) =>
        serve(
          'write',
          (result: number) => signal(result, 0, data.buffer),
          () => whenKnown(fs.write(file, data, wideNumber(...offset)), count => [count])
        ),
      _op_fsync: (signal: Signal, _path: string, _onlyData: number, file: number) =>
        serve('fsync', signal, () => whenDone(fs.fsync(file))),
      _op_release: (signal: Signal, path: string, file: number) =>
        serve('release', signal, () => whenDone(fs.release(path, file)))
    }
  }

  #xattrHandlers() {
    const fs = this.#operations
    const serve = this.#serve.bind(this)
    return {
      _op_setxattr: (
        signal: Signal,
        path: string,
        name: string,
        value: Uint8Array,
        _position: number,
        flags: number
      ) =>
        serve(
          'setxattr',
          (result: number) => signal(result, value.buffer),
          () => whenDone(fs.setxattr(path, name, value, flags))
        ),
      _op_getxattr: (signal: Signal, path: string, name: string, into: Uint8Array) =>
        serve(
          'getxattr',
          (result: number) => signal(result, into.buffer),
          () => whenKnown(fs.getxattr(path, name, into), count => [count])
        ),
      _op_listxattr: (signal: Signal, path: string, into: Uint8Array) =>
        serve(
          'listxattr',
          (result: number) => signal(result, into.buffer),
          () => [fs.listxattr(path, into)]
        ),
      _op_removexattr: (signal: Signal, path: string, name: string) =>
        serve('removexattr', signal, () => whenDone(fs.removexattr(path, name)))
    }
  }

  /** Runs an operation and replies once. */
  #serve(operation: string, reply: Signal, run: () => MaybePromise<Reply>): void {
    this.#underWay++
    const end = (answer: Reply): void => {
      reply(...answer)
      this.#underWay--
      if (this.#underWay === 0) for (const wake of this.#idle.splice(0)) wake()
    }
    const fail = (error: unknown): void => end([-errnoOf(error, operation, this.#report)])
    let answer: MaybePromise<Reply>
    try {
      answer = run()
    } catch (error) {
      fail(error)
      return
    }
    if (answer instanceof Promise) answer.then(end, fail)
    else end(answer)
  }
}

/**
 * Wraps fuse-native's handler of utimens, which passes on the last access twice: both times are
 * in the native buffer, and replace what it was given.
 */
export function withBothTimes(handler: NativeHandler): NativeHandler {
  return (thread, opcode, path, atimeLow, atimeHigh) => {
    const words = new DataView(thread.buffer, thread.byteOffset, thread.byteLength)
    const times = timesIn(words, atimeLow, atimeHigh)
    handler(thread, opcode, path, ...times)
  }
}

/** Nothing, when the buffer is not laid out as it should be. */
function timesIn(words: DataView, atimeLow: unknown, atimeHigh: unknown): readonly number[] {
  if (words.byteLength < MTIME_OFFSET + 8) return []
  const [low, high, ...mtime] = [0, 4, 8, 12].map(at => words.getUint32(ATIME_OFFSET + at, true))
  if (low === undefined || low !== atimeLow || high === undefined || high !== atimeHigh) return []
  return [low, high, ...mtime]
}

function bothTimes(words: readonly number[]): readonly [atimeMs: number, mtimeMs: number] {
  const [atimeLow, atimeHigh, mtimeLow, mtimeHigh] = words
  if (atimeLow === undefined || atimeHigh === undefined) throw new Error('no times in the buffer')
  if (mtimeLow === undefined || mtimeHigh === undefined) throw new Error('no times in the buffer')
  return [wideNumber(atimeLow, atimeHigh), wideNumber(mtimeLow, mtimeHigh)]
}

function whenDone(done: MaybePromise<void>): MaybePromise<Reply> {
  return whenKnown(done, () => DONE)
}

function whenKnown<Value>(
  value: MaybePromise<Value>,
  reply: (value: Value) => Reply
): MaybePromise<Reply> {
  return value instanceof Promise ? value.then(reply) : reply(value)
}
