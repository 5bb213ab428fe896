/** smoke */
import t from 'tap'
import { inProcess, MemoryMount } from '../../support/memory-mount.ts'

t.test('smoke', async t => {
  const mount = await MemoryMount.start()
  t.teardown(() => mount.stop())
  const result = await inProcess((fs, dir) => {
    fs.writeFileSync(dir + '/a', 'hello')
    fs.mkdirSync(dir + '/d')
    fs.symlinkSync('a', dir + '/l')
    fs.renameSync(dir + '/a', dir + '/d/b')
    return [fs.readdirSync(dir), fs.readFileSync(dir + '/d/b', 'utf8'), fs.statSync(dir + '/d/b')]
  }, mount.directory)
  console.error(result)
  console.error(await mount.state())
  await mount.command('unmount', false)
})
