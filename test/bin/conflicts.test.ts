/** A file that two real daemons changed apart: both versions are there, listed, shown, resolved. */
import { join } from 'node:path'
import t from 'tap'
import { bootstrapProcess } from './bootstrap-process.ts'
import { OFFLINE, conflictsOf, equal, firstDevice, nextDevice, reads } from './device-pair.ts'
import { until } from './grove-home.ts'

/** One line that begins with the program's name. */
const ONE_LINE = /^grove: [^\n]+\n$/

t.test('a file that both changed apart is in conflict, listed, shown and resolved', async t => {
  const environment = await bootstrapProcess(t)
  const desk = await firstDevice(t, environment)
  await desk.write('notes', 'first')
  await desk.write('other', 'first')
  const phone = await nextDevice(t, desk, environment)
  await reads(phone, 'notes', 'first')
  await reads(phone, 'other', 'first')
  await phone.succeed(['stop'])
  await phone.succeed(['mount', phone.mountPoint], { environment: OFFLINE })
  for (const name of ['notes', 'other']) {
    await phone.write(name, 'of the phone')
    await desk.write(name, 'of the desk')
  }
  await phone.succeed(['stop'])
  await phone.mount()
  await until(async () => (await conflictsOf(desk)).count === 2, 'the desk sees the conflicts')
  await until(async () => (await conflictsOf(phone)).count === 2, 'the phone sees the conflicts')
  await equal(desk, phone)

  const { conflicts } = await conflictsOf(desk)
  t.strictSame(conflicts.map(each => each.original.path).sort(), ['/notes', '/other'])
  const notes = conflicts.find(each => each.original.path === '/notes')
  if (notes === undefined) throw new Error('there is no conflict of the notes')
  const both = [await desk.read('notes'), await desk.read(notes.path)].sort()
  t.strictSame(both, ['of the desk', 'of the phone'], 'no byte is lost')
  t.match(await desk.succeed(['conflicts']), `of ${join(desk.mountPoint, 'notes')}, by `)

  const { versions } = (await desk.json(['versions', join(desk.mountPoint, 'notes')])) as {
    readonly versions: readonly { readonly version: string; readonly device: string }[]
  }
  const shown = await Promise.all(
    versions.map(each => desk.succeed(['cat', `${join(desk.mountPoint, 'notes')}@${each.version}`]))
  )
  t.ok(shown.includes('first'), 'also what was before')
  t.equal(shown.at(-1), await desk.read('notes'))

  const refused = await desk.run(['conflicts', 'resolve', desk.mountPoint, '--keep', 'mine'])
  t.match(refused.stderr, ONE_LINE)
  const copy = join(desk.mountPoint, notes.path)
  await desk.succeed(['conflicts', 'resolve', copy, '--keep', 'mine'])
  t.equal(await desk.read('notes'), 'of the desk')
  const other = join(phone.mountPoint, 'other')
  t.match(await phone.json(['conflicts', 'resolve', other, '--keep', 'both']), {
    kept: { length: 2 }
  })
  for (const grove of [desk, phone])
    await until(async () => (await conflictsOf(grove)).count === 0, 'no conflict is left')
  await equal(desk, phone)
})
