/** What was learned of other devices is there at the next start, once, whole or not at all. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { KnownLogs } from '../../bin/known-logs.ts'
import { temporaryFolder } from './temporary-folder.ts'

const bytes = (...values: readonly number[]): Uint8Array => Uint8Array.from(values)

t.test('add() keeps what open() gives back, in order and once', async t => {
  const path = join(await temporaryFolder(t), 'known-logs.json')
  const known = await KnownLogs.open(path)
  t.strictSame(known.known, { statements: [], announcements: [] })
  await Promise.all([
    known.add({ statements: [bytes(1), bytes(2)] }),
    known.add({ announcements: [bytes(3)] }),
    known.add({ announcements: [bytes(3), bytes(4, 255)], statements: [bytes(1)] })
  ])
  const expected = { statements: [bytes(1), bytes(2)], announcements: [bytes(3), bytes(4, 255)] }
  t.strictSame(known.known, expected)
  const again = await KnownLogs.open(path)
  t.strictSame(again.known, expected)
  const before = await readFile(path, 'utf8')
  await writeFile(path, 'not written again')
  await again.add({ statements: [bytes(2)] })
  t.equal(await readFile(path, 'utf8'), 'not written again', 'nothing new, nothing written')
  await again.add({ statements: [bytes(9)] })
  t.match(await readFile(path, 'utf8'), /^\{"version":1/)
  t.not(await readFile(path, 'utf8'), before)
  await again.close()
})

t.test('add() copies what it is given', async t => {
  const path = join(await temporaryFolder(t), 'known-logs.json')
  const known = await KnownLogs.open(path)
  const statement = bytes(1)
  await known.add({ statements: [statement] })
  statement[0] = 2
  t.strictSame(known.known.statements, [bytes(1)])
})

t.test('a write that failed is made up for', async t => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'missing', 'known-logs.json')
  const known = await KnownLogs.open(join(folder, 'known-logs.json'))
  await known.add({})
  const unwritable = await KnownLogs.open(path)
  await t.rejects(unwritable.add({ statements: [bytes(1)] }), { code: 'ENOENT' })
  await t.rejects(unwritable.add({}), { code: 'ENOENT' }, 'tried again')
})

t.test('open() refuses damage and the future', async t => {
  const path = join(await temporaryFolder(t), 'known-logs.json')
  for (const [content, code] of [
    ['', 'DAMAGED'],
    ['null', 'DAMAGED'],
    ['[]', 'DAMAGED'],
    ['{"version":1}', 'DAMAGED'],
    ['{"version":1,"statements":[1],"announcements":[]}', 'DAMAGED'],
    ['{"version":2}', 'NEWER_FORMAT']
  ] as const) {
    await writeFile(path, content)
    await t.rejects(KnownLogs.open(path), { code }, content)
  }
})
