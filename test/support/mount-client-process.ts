/**
 * A program that uses a mounted folder, run as a process of its own: it does what it is told by a
 * line of JSON on its standard input, `[call, ...arguments]`, one after another, and answers each
 * with a line: `{ value }`, or `{ error }` when the call failed.
 *
 * Usage: node mount-client-process.ts DIRECTORY
 *
 * @module
 */
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const [directory = '.'] = process.argv.slice(2)
const open = new Map<number, number>()
let opened = 0

const at = (path: string): string => join(directory, path)

function fdOf(file: number): number {
  const fd = open.get(file)
  if (fd === undefined) throw new Error(`no file ${file} is open`)
  return fd
}

/** What is below a directory, with all that must be the same on every device. */
function treeOf(path: string): string[] {
  const lines: string[] = []
  for (const name of fs.readdirSync(at(path)).toSorted()) {
    const each = join(path, name)
    const stat = fs.lstatSync(at(each), { bigint: true })
    const content = stat.isFile() ? hashOf(at(each)) : ''
    const size = stat.isDirectory() ? '' : String(stat.size)
    lines.push([each, stat.mode.toString(8), size, String(stat.mtimeNs), content].join(' '))
    if (stat.isDirectory()) lines.push(...treeOf(each))
  }
  return lines
}

function hashOf(path: string): string {
  return createHash('sha256').update(fs.readFileSync(path)).digest('hex')
}

function openFile(path: string): number {
  open.set(++opened, fs.openSync(at(path), 'r+'))
  return opened
}

function readWhole(file: number): string {
  const bytes = Buffer.alloc(65_536)
  const count = fs.readSync(fdOf(file), bytes, 0, bytes.length, 0)
  return bytes.toString('utf8', 0, count)
}

function syncDirectory(): void {
  const fd = fs.openSync(directory, 'r')
  fs.fsyncSync(fd)
  fs.closeSync(fd)
}

function remove(path: string): void {
  if (fs.lstatSync(at(path)).isDirectory()) fs.rmdirSync(at(path))
  else fs.unlinkSync(at(path))
}

function closeFile(file: number): void {
  fs.closeSync(fdOf(file))
  open.delete(file)
}

const CALLS: Readonly<Record<string, (...args: never[]) => unknown>> = {
  write: (path: string, text: string) => fs.writeFileSync(at(path), text),
  append: (path: string, text: string) => fs.appendFileSync(at(path), text),
  read: (path: string) => fs.readFileSync(at(path), 'utf8'),
  list: (path: string) => fs.readdirSync(at(path)).toSorted(),
  mkdir: (path: string) => fs.mkdirSync(at(path)),
  remove,
  move: (path: string, to: string) => fs.renameSync(at(path), at(to)),
  link: (path: string, to: string) => fs.linkSync(at(path), at(to)),
  chmod: (path: string, mode: number) => fs.chmodSync(at(path), mode),
  mode: (path: string) => fs.statSync(at(path)).mode & 0o7777,
  tree: (path: string) => treeOf(path),
  open: openFile,
  writeOpen: (file: number, text: string) => fs.writeSync(fdOf(file), text, 0),
  readOpen: readWhole,
  closeOpen: closeFile,
  sync: syncDirectory
}

function answerTo(line: string): { readonly value: unknown } | { readonly error: string } {
  try {
    const [call, ...args] = JSON.parse(line) as [string, ...never[]]
    return { value: CALLS[call]?.(...args) ?? null }
  } catch (error) {
    return { error: String(error) }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(answerTo(line))}\n`)
}
