/**
 * What the benchmark's client does in a folder: one thing, in a synchronous loop, timed.
 *
 * Each operation first runs on a few other files, so that neither this process nor a daemon is
 * timed while its code is still cold. What is read is checked: a fast wrong answer is an error.
 *
 * @module
 */
import { execFileSync } from 'node:child_process'
import { closeSync, fsyncSync, mkdirSync, openSync, readSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import {
  CHUNK_BYTES,
  SMALL_FILE_BYTES,
  WARM_CHUNKS,
  WARM_COUNT,
  WARM_SYNCS,
  type ClientRequest
} from './client-request.ts'

/** Does what is asked. @returns the seconds that the timed part took */
export function serve(request: ClientRequest): number {
  switch (request.operation) {
    case 'create':
      mkdirSync(request.directory, { recursive: true })
      mkdirSync(request.warm, { recursive: true })
      createFiles(request.warm, WARM_COUNT)
      return time(() => createFiles(request.directory, request.count))
    case 'stat':
      statFiles(request.warm, WARM_COUNT)
      for (let pass = 0; pass < request.warmPasses; pass++)
        statFiles(request.directory, request.count)
      return time(() => {
        for (let pass = 0; pass < request.passes; pass++)
          statFiles(request.directory, request.count)
      })
    case 'read':
      readFiles(request.warm, WARM_COUNT)
      return time(() => readFiles(request.directory, request.count))
    case 'write-stream':
      writeStream(request.warm, WARM_CHUNKS, request.durable)
      return time(() => writeStream(request.path, request.chunks, request.durable))
    case 'read-stream':
      readStream(request.warm, WARM_CHUNKS)
      if (request.again) readStream(request.path, request.chunks)
      return time(() => readStream(request.path, request.chunks))
    case 'fsync':
      appendDurably(request.warm, WARM_SYNCS)
      return time(() => appendDurably(request.path, request.count))
    case 'untar':
      mkdirSync(request.directory, { recursive: true })
      // Listing it brings tar and the archive into memory.
      execFileSync('tar', ['-tf', request.archive], { stdio: ['ignore', 'ignore', 'inherit'] })
      return time(() =>
        execFileSync('tar', ['-xf', request.archive, '-C', request.directory], {
          stdio: ['ignore', 'ignore', 'inherit']
        })
      )
  }
}

function time(work: () => void): number {
  const start = process.hrtime.bigint()
  work()
  return Number(process.hrtime.bigint() - start) / 1e9
}

const smallFile = (directory: string, index: number): string => join(directory, `file-${index}`)

function createFiles(directory: string, count: number): void {
  const bytes = content(SMALL_FILE_BYTES)
  for (let index = 0; index < count; index++) {
    bytes.writeUInt32LE(index)
    const file = openSync(smallFile(directory, index), 'wx')
    writeSync(file, bytes)
    closeSync(file)
  }
}

function statFiles(directory: string, count: number): void {
  for (let index = 0; index < count; index++)
    expect(statSync(smallFile(directory, index)).size, SMALL_FILE_BYTES)
}

function readFiles(directory: string, count: number): void {
  const bytes = Buffer.alloc(SMALL_FILE_BYTES)
  for (let index = 0; index < count; index++) {
    const file = openSync(smallFile(directory, index), 'r')
    expect(readSync(file, bytes), SMALL_FILE_BYTES)
    closeSync(file)
    expect(bytes.readUInt32LE(), index)
  }
}

function writeStream(path: string, chunks: number, durable: boolean): void {
  const bytes = content(CHUNK_BYTES)
  const file = openSync(path, 'wx')
  for (let index = 0; index < chunks; index++) {
    bytes.writeUInt32LE(index)
    expect(writeSync(file, bytes), CHUNK_BYTES)
  }
  if (durable) fsyncSync(file)
  closeSync(file)
}

function readStream(path: string, chunks: number): void {
  const bytes = Buffer.alloc(CHUNK_BYTES)
  const file = openSync(path, 'r')
  for (let index = 0; index < chunks; index++) {
    expect(readSync(file, bytes), CHUNK_BYTES)
    expect(bytes.readUInt32LE(), index)
  }
  closeSync(file)
}

function appendDurably(path: string, count: number): void {
  const bytes = content(SMALL_FILE_BYTES)
  const file = openSync(path, 'wx')
  for (let index = 0; index < count; index++) {
    bytes.writeUInt32LE(index)
    expect(writeSync(file, bytes), SMALL_FILE_BYTES)
    fsyncSync(file)
  }
  closeSync(file)
}

/** Bytes that do not compress, from a fixed xorshift32 sequence. */
function content(sizeBytes: number): Buffer {
  const words = new Uint32Array(sizeBytes / 4)
  let state = 0x9e3779b9
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[index] = state
  }
  return Buffer.from(words.buffer)
}

function expect(actual: number, expected: number): void {
  if (actual !== expected) throw new Error(`got ${actual} where ${expected} was expected`)
}
