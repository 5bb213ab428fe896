/**
 * What a case of the POSIX suite is made of. Cases run in a child process, see `posix-runner`.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { programPath, runProgram } from '../../support/program.ts'

/** What a case works with: a directory of its own, and programs. */
export interface PosixContext {
  /** Empty when the case begins; removed when it ends. */
  readonly directory: string
  /** A path below {@link PosixContext.directory}. */
  path(...names: readonly string[]): string
  /** Runs a program there and gives its standard output. Fails if it exits with another code than 0. */
  run(command: string, ...args: readonly string[]): Promise<string>
  /**
   * Runs Python there, for system calls that Node has not. The code has `args`, `os`, `libc`,
   * `errno_of(call, ...)` and sets `result`, which is given back. Skips the case if there is no
   * Python.
   */
  python(code: string, ...args: readonly string[]): Promise<unknown>
  /** Skips the case unless a program is there. */
  needs(program: string, debianPackage: string): void
  /** Skips the case unless we are root. */
  needsRoot(why: string): void
  /** Skips the case. */
  skip(reason: string): never
}

/** One named behaviour of a directory. Fails by throwing. */
export interface PosixCase {
  /** Says system call and behaviour. */
  readonly name: string
  /** Checks it. */
  run(c: PosixContext): void | Promise<void>
}

/** A case that cannot run here. */
export class SkipCase extends Error {
  override readonly name = 'SkipCase'
}

const PYTHON_PRELUDE = `
import ctypes, errno, fcntl, json, mmap, os, signal, stat, struct, sys, time
args = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
def errno_of(call, *arguments, **named):
    try:
        call(*arguments, **named)
        return 'ok'
    except OSError as error:
        return errno_name(error.errno)
def errno_name(number):
    # Python knows this number by its other name.
    return errno.errorcode[number].replace('ENOTSUP', 'EOPNOTSUPP')
def libc_errno(value):
    return 'ok' if value >= 0 else errno_name(ctypes.get_errno())
result = None
`
const PYTHON_END = `
print(json.dumps(result))
`

/** A context on a directory. */
export class PosixDirectory implements PosixContext {
  readonly directory: string

  /** @param directory - absolute */
  constructor(directory: string) {
    this.directory = directory
  }

  /** See {@link PosixContext.path}. */
  path(...names: readonly string[]): string {
    return join(this.directory, ...names)
  }

  /** See {@link PosixContext.run}. */
  async run(command: string, ...args: readonly string[]): Promise<string> {
    return runProgram(command, args, { cwd: this.directory })
  }

  /** See {@link PosixContext.python}. */
  async python(code: string, ...args: readonly string[]): Promise<unknown> {
    const python = pythonPath()
    if (python === undefined) this.skip('python3 is not installed (Debian: python3)')
    const script = PYTHON_PRELUDE + code + PYTHON_END
    const printed = await runProgram(python, ['-c', script, ...args], { cwd: this.directory })
    return JSON.parse(printed) as unknown
  }

  /** See {@link PosixContext.needs}. */
  needs(program: string, debianPackage: string): void {
    if (programPath(program) === undefined) {
      this.skip(`${program} is not installed (Debian: ${debianPackage})`)
    }
  }

  /** See {@link PosixContext.needsRoot}. */
  needsRoot(why: string): void {
    if (process.getuid?.() !== 0) this.skip(`only root ${why}`)
  }

  /** See {@link PosixContext.skip}. */
  skip(reason: string): never {
    throw new SkipCase(reason)
  }
}

let knownPython: string | undefined

/** The interpreter itself: what is first in the path may be a slow script that looks for it. */
function pythonPath(): string | undefined {
  const asked = ['-c', 'import sys; print(sys.executable)']
  knownPython ??= spawnSync('python3', asked, { encoding: 'utf8' }).stdout?.trim()
  return knownPython
}

/** Expects a call to fail with this errno. */
export function failsWith(code: string, call: () => unknown, message?: string): void {
  assert.throws(call, { code }, message)
}

/** `length` bytes that are the same for the same seed. */
export function pattern(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length)
  let state = (seed * 2_654_435_761) >>> 0 || 1
  for (let at = 0; at < length; at++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[at] = state
  }
  return bytes
}

/** Expects the same bytes; says where they differ instead of printing them. */
export function sameBytes(actual: Uint8Array, expected: Uint8Array, message = 'bytes'): void {
  if (Buffer.compare(actual, expected) === 0) return
  let at = 0
  while (at < Math.min(actual.length, expected.length) && actual[at] === expected[at]) at++
  assert.fail(`${message}: ${actual.length} for ${expected.length} bytes, differ from byte ${at}`)
}
