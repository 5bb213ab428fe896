/** A home is found, made private, and refused when it is not ours, newer, or inside a drive. */
import { chmod, mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { Home, HOME_VERSION } from '../../bin/home.ts'
import { temporaryFolder } from './temporary-folder.ts'

const at = (directory: string) => Home.locate({ GROVE_HOME: directory })
const mode = async (path: string) => (await stat(path)).mode & 0o777

t.test('locate() takes GROVE_HOME, then the XDG folder, then the default', async t => {
  const folder = await temporaryFolder(t)
  const [asked, data, user] = ['asked', 'data', 'user'].map(name => join(folder, name))
  for (const [environment, expected] of [
    [{ GROVE_HOME: asked, XDG_DATA_HOME: data, HOME: user }, asked],
    [{ GROVE_HOME: '', XDG_DATA_HOME: data, HOME: user }, `${data}/grove`],
    [{ XDG_DATA_HOME: 'relative', HOME: user }, `${user}/.local/share/grove`],
    [{ HOME: user }, `${user}/.local/share/grove`]
  ] as const)
    t.equal((await Home.locate(environment)).directory, expected)
  t.strictSame(await readdir(folder), [], 'finding makes nothing')
})

t.test('prepare() and createKeyFile() make a private home, once', async t => {
  const directory = join(await temporaryFolder(t), 'deep', 'home')
  const home = await at(directory)
  await t.rejects(home.check(), { code: 'NOT_INITIALISED' })
  await home.prepare()
  await t.rejects(home.check(), { code: 'NOT_INITIALISED' }, 'not before there is a key')
  await home.prepare()
  await home.createKeyFile(Buffer.from('secret'))
  await home.check()
  t.strictSame(Buffer.from(await home.readKeyFile()), Buffer.from('secret'))
  t.equal(await mode(directory), 0o700)
  t.equal(await mode(home.keyFile), 0o600)
  t.equal(await mode(join(directory, 'format')), 0o600)
  await t.rejects(home.prepare(), { code: 'ALREADY_INITIALISED' })
  await t.rejects(home.createKeyFile(Buffer.from('other')), { code: 'ALREADY_INITIALISED' })
  t.strictSame(Buffer.from(await home.readKeyFile()), Buffer.from('secret'))
})

t.test('makePrivate() closes an open home', async t => {
  const directory = join(await temporaryFolder(t), 'home')
  const home = await at(directory)
  await home.prepare()
  await home.createKeyFile(Buffer.from('secret'))
  await chmod(directory, 0o755)
  await chmod(home.keyFile, 0o644)
  await home.makePrivate()
  t.equal(await mode(directory), 0o700)
  t.equal(await mode(home.keyFile), 0o600)
})

t.test('prepare() refuses a folder that is used for something else', async t => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'thesis.txt'), 'mine')
  await chmod(folder, 0o755)
  await t.rejects((await at(folder)).prepare(), { code: 'FAILED', message: /not empty/ })
  t.strictSame(await readdir(folder), ['thesis.txt'])
  t.equal(await mode(folder), 0o755)
})

t.test('a newer format is refused by check() and prepare(), and nothing is written', async t => {
  for (const withKey of [true, false]) {
    const folder = await temporaryFolder(t)
    await writeFile(join(folder, 'format'), `grove home ${HOME_VERSION + 1}\n{"future": true}\n`)
    if (withKey) await writeFile(join(folder, 'key'), 'from the future')
    await chmod(folder, 0o755)
    const before = await readdir(folder)
    const home = await at(folder)
    const newer = { code: 'NEWER_FORMAT', message: /made by a newer grove/ }
    await t.rejects(home.check(), newer)
    await t.rejects(home.prepare(), newer)
    t.strictSame(await readdir(folder), before)
    t.equal(await mode(folder), 0o755)
  }
})

t.test('a damaged or lost format file is told as damage', async t => {
  for (const text of ['', 'grove home\n', 'grove home 0\n', 'something else', undefined]) {
    const folder = await temporaryFolder(t)
    await writeFile(join(folder, 'key'), 'key')
    if (text !== undefined) await writeFile(join(folder, 'format'), text)
    await t.rejects((await at(folder)).check(), { code: 'DAMAGED' }, `${text}`)
    t.equal(await readFile(join(folder, 'key'), 'utf8'), 'key')
  }
})

t.test('a home that is no folder is told', async t => {
  const file = join(await temporaryFolder(t), 'file')
  await writeFile(file, '')
  await t.rejects((await at(file)).check(), { code: 'FAILED', message: /ENOTDIR/ })
})

t.test('readKeyFile() tells a key file that cannot be read', async t => {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, 'key'))
  await t.rejects((await at(folder)).readKeyFile(), { code: 'DAMAGED', message: /EISDIR/ })
})
