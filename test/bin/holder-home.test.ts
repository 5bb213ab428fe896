/** A holder's home is made, kept private, and never taken for a drive's, nor the other way round. */
import { chmod, mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { HOLDER_HOME_VERSION, HolderHome } from '../../bin/holder-home.ts'
import { Home } from '../../bin/home.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { temporaryFolder } from './temporary-folder.ts'

const at = (directory: string): Promise<HolderHome> => HolderHome.locate({ GROVE_HOME: directory })
const mode = async (path: string): Promise<number> => (await stat(path)).mode & 0o777

t.test('it is beside the home of a drive unless GROVE_HOME says otherwise', async t => {
  const folder = await temporaryFolder(t)
  const found = await HolderHome.locate({ XDG_DATA_HOME: folder })
  t.equal(found.directory, join(folder, 'grove-host'))
  t.equal((await at(join(folder, 'mine'))).directory, join(folder, 'mine'))
  t.same(await readdir(folder), [], 'finding makes nothing')
})

t.test('it is made private, and keeps its keys', async t => {
  const directory = join(await temporaryFolder(t), 'deep', 'host')
  const home = await at(directory)
  t.equal(await home.exists(), false)
  await home.prepare()
  await home.prepare()
  t.equal(await home.exists(), false, 'not before it has keys')
  const keys = await home.openKeys(new SeededRandom(1))
  t.equal(await home.exists(), true)
  const again = await (await at(directory)).openKeys(new SeededRandom(2))
  t.same(again.publicKeys, keys.publicKeys)
  t.equal(await mode(directory), 0o700)
  for (const name of ['key', 'format']) t.equal(await mode(join(directory, name)), 0o600)
})

t.test('what is no home of a holder is refused and left as it is', async t => {
  const folder = await temporaryFolder(t)
  const cases = [
    ['thesis.txt', 'mine', 'FAILED', /not empty/],
    ['format', 'grove home 1\n', 'FAILED', /holds a drive/],
    ['format', `grove holder ${String(HOLDER_HOME_VERSION + 1)}\n`, 'NEWER_FORMAT', /newer grove/],
    ['format', 'scribble', 'DAMAGED', /is damaged/]
  ] as const
  for (const [index, [name, content, code, message]] of cases.entries()) {
    const directory = join(folder, String(index))
    await mkdir(directory)
    await writeFile(join(directory, name), content)
    await t.rejects((await at(directory)).prepare(), { code, message })
    t.same(await readdir(directory), [name])
  }
})

t.test('a drive is not made nor looked for in the home of a holder', async t => {
  const directory = join(await temporaryFolder(t), 'host')
  await (await at(directory)).prepare()
  const home = await Home.locate({ GROVE_HOME: directory })
  await t.rejects(home.prepare(), { code: 'FAILED', message: /home of a holder/ })
  await t.rejects(home.check(), { code: 'FAILED', message: /home of a holder/ })
})

t.test('keys that cannot be read are not replaced', async t => {
  const directory = join(await temporaryFolder(t), 'host')
  const home = await at(directory)
  await home.prepare()
  await home.openKeys(new SeededRandom(1))
  const keyFile = join(directory, 'key')
  await chmod(keyFile, 0o600)
  for (const content of [Buffer.alloc(3), Buffer.alloc(97), Buffer.alloc(97, 0xff)]) {
    await writeFile(keyFile, content)
    await t.rejects(home.openKeys(new SeededRandom(2)), { code: 'DAMAGED' })
  }
})
