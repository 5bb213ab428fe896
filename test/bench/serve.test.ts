/**
 * The benchmark does the work that it is timed for, and a wrong answer of the file system
 * is an error instead of a figure.
 */
import { mkdtemp, readdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { CHUNK_BYTES, SMALL_FILE_BYTES, WARM_COUNT } from '../../bench/client-request.ts'
import { askClient } from '../../bench/question.ts'
import { serve } from '../../bench/serve.ts'
import { makeSourceTree } from '../../bench/source-tree.ts'

const base = await realpath(await mkdtemp(join(tmpdir(), 'grove-test-')))
t.teardown(() => rm(base, { recursive: true }))
const files = { directory: join(base, 'files'), warm: join(base, 'warm'), count: 5 }
const stream = { path: join(base, 'stream'), warm: join(base, 'warm-stream'), chunks: 2 }

t.test('create makes the files, which stat and read then accept', async t => {
  t.ok(serve({ operation: 'create', ...files }) > 0)
  t.equal((await readdir(files.directory)).length, files.count)
  t.equal((await readdir(files.warm)).length, WARM_COUNT)
  t.equal((await stat(join(files.directory, 'file-3'))).size, SMALL_FILE_BYTES)
  t.ok(serve({ operation: 'stat', ...files, passes: 2, warmPasses: 1 }) > 0)
  t.ok(serve({ operation: 'read', ...files }) > 0)
})

t.test('the client process answers with the seconds, or fails', async t => {
  t.ok((await askClient({ operation: 'read', ...files })) > 0)
  const missing = { ...files, directory: join(base, 'missing') }
  await t.rejects(askClient({ operation: 'read', ...missing }), { message: /ENOENT/ })
})

t.test('read refuses a file with the wrong content', async t => {
  await writeFile(join(files.directory, 'file-3'), Buffer.alloc(SMALL_FILE_BYTES))
  t.throws(() => serve({ operation: 'read', ...files }), { message: /was expected/ })
})

t.test('a stream is written and read in whole', async t => {
  t.ok(serve({ operation: 'write-stream', ...stream, durable: true }) > 0)
  t.equal((await stat(stream.path)).size, stream.chunks * CHUNK_BYTES)
  t.ok(serve({ operation: 'read-stream', ...stream, again: true }) > 0)
  t.throws(() => serve({ operation: 'read-stream', ...stream, chunks: 3, again: false }))
})

t.test('fsync appends as often as it is asked to', async t => {
  const path = join(base, 'durable')
  t.ok(serve({ operation: 'fsync', path, warm: `${path}-warm`, count: 3 }) > 0)
  t.equal((await stat(path)).size, 3 * SMALL_FILE_BYTES)
})

t.test('untar unpacks a tree that is the same each time it is made', async t => {
  const directory = join(base, 'unpacked')
  const archive = await makeSourceTree({ base, files: 40 })
  const first = await readFile(archive)
  t.ok(serve({ operation: 'untar', archive, directory }) > 0)
  const names = await readdir(directory, { recursive: true })
  t.equal(names.filter(name => /file-\d+\.ts$/.test(name)).length, 40)
  await makeSourceTree({ base, files: 40 })
  t.ok(first.equals(await readFile(archive)), 'the same bytes')
})
