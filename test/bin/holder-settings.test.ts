/** What a holder was told is checked, kept, and changed bit by bit. */
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import {
  LABELS_MAX,
  IMBALANCE_GIB_DAYS_MAX,
  SPACE_BYTES_MIN,
  changeHolderSettings,
  parseImbalance,
  parseLabel,
  readHolderSettings
} from '../../bin/holder-settings.ts'
import { temporaryFolder } from './temporary-folder.ts'

t.test('a change leaves what it does not name', async t => {
  const path = join(await temporaryFolder(t), 'holder.json')
  t.equal(await readHolderSettings(path), undefined)
  await t.rejects(changeHolderSettings(path, { site: 'attic' }), { code: 'USAGE' })
  const first = await changeHolderSettings(path, { spaceBytes: 5e9, labels: { room: 'attic' } })
  t.match(first, { spaceBytes: 5e9, site: '', labels: { room: 'attic' } })
  t.ok(first.name.length > 0, 'it is called as the computer is')
  const second = await changeHolderSettings(path, { site: 'home', name: 'nas' })
  t.same(second, { ...first, site: 'home', name: 'nas' })
  t.same(await readHolderSettings(path), second)
  t.equal((await stat(path)).mode & 0o777, 0o600)
})

t.test('what makes no sense is refused and changes nothing', async t => {
  const path = join(await temporaryFolder(t), 'holder.json')
  await changeHolderSettings(path, { spaceBytes: SPACE_BYTES_MIN })
  const before = await readFile(path, 'utf8')
  const many = Array.from({ length: LABELS_MAX + 1 }, (_, index) => [`key ${String(index)}`, ''])
  for (const change of [
    { spaceBytes: SPACE_BYTES_MIN - 1 },
    { spaceBytes: 2e15 },
    { name: '' },
    { name: 'two\nlines' },
    { site: 'x'.repeat(64) },
    { imbalance: -1 },
    { imbalance: IMBALANCE_GIB_DAYS_MAX + 1 },
    { drive: 'relative' },
    { labels: { key: '\u202e' } },
    { labels: Object.fromEntries(many) as Record<string, string> }
  ])
    await t.rejects(changeHolderSettings(path, change), { code: 'USAGE' })
  t.equal(await readFile(path, 'utf8'), before)
})

t.test('a file that makes no sense is damaged', async t => {
  const path = join(await temporaryFolder(t), 'holder.json')
  for (const content of ['', '[]', '{"spaceBytes":"much"}', '{"spaceBytes":5000000,"name":1}']) {
    await writeFile(path, content)
    await t.rejects(readHolderSettings(path), { code: 'DAMAGED' }, content)
  }
  await t.rejects(readHolderSettings(join(path, 'below')), { code: 'DAMAGED' })
})

t.test('a bound is a number or a word; one that was never set is generous', async t => {
  const path = join(await temporaryFolder(t), 'holder.json')
  await writeFile(path, '{"spaceBytes":5000000,"name":"nas","site":"","labels":{}}')
  t.match(await readHolderSettings(path), { imbalance: 'generous', drive: '' })
  const change = { imbalance: 12.5, drive: '/disk/drive' }
  t.match(await changeHolderSettings(path, change), change)
  t.match(await readHolderSettings(path), change)
  t.same(['0', '12.5', 'none', 'generous'].map(parseImbalance), [0, 12.5, 'none', 'generous'])
  for (const text of ['', '-1', '1e9', 'much', String(IMBALANCE_GIB_DAYS_MAX * 2)])
    t.throws(() => parseImbalance(text), { code: 'USAGE' }, text)
})

t.test('labels are typed as KEY=VALUE', async t => {
  t.same(parseLabel('room=attic'), ['room', 'attic'])
  t.same(parseLabel('note=a=b'), ['note', 'a=b'])
  t.same(parseLabel('empty='), ['empty', ''])
  for (const text of ['room', '=attic', '']) t.throws(() => parseLabel(text), { code: 'USAGE' })
})
