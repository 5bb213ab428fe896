/** The mark of the last run: what one run leaves the next one takes, or nothing at all. */
import { cp, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { CleanMark, homeIdentity, MARK_FILE } from '../../src/replication/clean-mark.ts'
import { isSameHome } from '../../src/replication/log-epoch.ts'
import { logKey } from '../../src/sync/log.ts'
import { withDirectory } from '../support/hypercore-home.ts'

const lengths = new Map([[logKey('a'.repeat(64)), 5]])

t.test('take() gives what leave() left', async t =>
  withDirectory(async directory => {
    const { keeper, mark } = await CleanMark.take(directory, 'boot 1')
    t.equal(mark, undefined, 'a new home has none')
    await keeper.leave(lengths)
    const taken = await CleanMark.take(directory, 'boot 2')
    t.same(taken.mark, {
      clean: true,
      bootId: 'boot 1',
      home: await homeIdentity(directory),
      lengths
    })
  })
)

t.test('begin() takes the cleanness back', async t =>
  withDirectory(async directory => {
    await (await CleanMark.take(directory, 'boot 1')).keeper.leave(lengths)
    await (await CleanMark.take(directory, 'boot 2')).keeper.begin(lengths)
    const { mark } = await CleanMark.take(directory, 'boot 3')
    t.match(mark, { clean: false, bootId: 'boot 2' })
  })
)

t.test('take() of a mark that cannot be read gives none', async t =>
  withDirectory(async directory => {
    const path = join(directory, MARK_FILE)
    await (await CleanMark.take(directory, 'boot')).keeper.leave(lengths)
    const good = await readFile(path, 'utf8')
    for (const bad of [
      '',
      good.slice(0, -1),
      'null',
      good.replace('"version":1', '"version":2'),
      good.replace(/\["a+",5\]/, '5'),
      good.replace(',5]', ',"5"]'),
      good.replace('"bootId":"boot"', '"bootId":7')
    ]) {
      t.not(bad, good)
      await writeFile(path, bad)
      t.equal((await CleanMark.take(directory, 'boot')).mark, undefined, bad)
    }
  })
)

t.test('homeIdentity() survives a rename and not a copy', async t =>
  withDirectory(async root => {
    const first = join(root, 'first')
    const moved = join(root, 'moved')
    const copy = join(root, 'copy')
    await mkdir(first)
    const identity = await homeIdentity(first)
    await rename(first, moved)
    t.ok(isSameHome(identity, await homeIdentity(moved)))
    await cp(moved, copy, { recursive: true })
    t.notOk(isSameHome(identity, await homeIdentity(copy)))
  })
)
