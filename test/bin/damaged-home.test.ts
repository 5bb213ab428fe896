/**
 * What a real home survives: a damaged block is told by name and hurts no other file, a damaged
 * index is made anew, a fault in the daemon saves what was written, and nothing in the home is
 * readable by others or tells names or content.
 */
import { randomBytes } from 'node:crypto'
import { readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { isProcessAlive } from '../../bin/process-alive.ts'
import { GroveHome, isMounted, until } from './grove-home.ts'

/** Every file of a home, with its path. */
async function filesOf(grove: GroveHome): Promise<readonly string[]> {
  const names = await readdir(grove.directory, { recursive: true, withFileTypes: true })
  return names.filter(each => each.isFile()).map(each => join(each.parentPath, each.name))
}

/** Inverts the byte in the middle of where some content is stored. */
async function damageLargestBlob(grove: GroveHome): Promise<void> {
  const blobs = (await filesOf(grove)).filter(path => path.endsWith('.blob'))
  const sizes = await Promise.all(blobs.map(async path => (await stat(path)).size))
  const path = blobs[sizes.indexOf(Math.max(...sizes))]
  if (path === undefined) throw new Error('there is no blob file to damage')
  const bytes = await readFile(path)
  const middle = bytes.length >> 1
  bytes[middle] = ~(bytes[middle] ?? 0)
  await writeFile(path, bytes)
}

t.test('a damaged block is EIO for its file alone, and verify names the file', async t => {
  const grove = await GroveHome.initialised(t)
  await grove.mount()
  const whole = randomBytes(20_000).toString('hex')
  await grove.write('whole', whole)
  await grove.write('hurt', randomBytes(60_000).toString('hex'))
  await grove.succeed(['stop'])
  // Opening moves what lies in the write-ahead log to the files that are damaged here.
  t.equal(await grove.succeed(['verify']), 'everything is whole\n')
  await damageLargestBlob(grove)

  const offline = await grove.run(['verify', '--json'])
  t.equal(offline.code, 1)
  const found = JSON.parse(offline.stdout) as { readonly damaged: readonly { path: string }[] }
  t.match(found, { ok: false, count: 1 })
  const [name = ''] = found.damaged.map(each => each.path.slice(1))
  t.ok(['whole', 'hurt'].includes(name), name)

  await grove.mount()
  await t.rejects(grove.read(name), /Input\/output error/)
  const other = await grove.read(name === 'whole' ? 'hurt' : 'whole')
  t.equal(other.length, name === 'whole' ? 120_000 : 40_000)
  await grove.write('new', 'the rest works')
  const online = await grove.run(['verify'])
  t.equal(online.code, 1)
  t.match(online.stdout, `/${name}: `)
})

t.test('a fault in the daemon saves what was written and unmounts', async t => {
  const grove = await GroveHome.initialised(t)
  const trigger = join(grove.folder, 'trigger')
  const fault = join(grove.folder, 'fault.cjs')
  // Nobody expects this exception: it comes out of a timer when the test says so.
  await writeFile(
    fault,
    `if (process.argv.includes('--launched'))
      setInterval(() => {
        if (require('node:fs').existsSync(${JSON.stringify(trigger)})) throw new Error('secret')
      }, 20)`
  )
  await grove.succeed(['mount', grove.mountPoint], {
    environment: { NODE_OPTIONS: `--require=${fault}` }
  })
  const { pid } = await grove.status()
  await grove.write('note', 'kept')
  await writeFile(trigger, '')
  await until(() => !isProcessAlive(pid), 'the daemon ends')
  t.notOk(await isMounted(grove.mountPoint))
  const log = await grove.log()
  t.match(log, /fault: Error at /)
  t.notMatch(log, 'secret')
  await grove.mount()
  t.equal(await grove.read('note'), 'kept')
})

t.test('nothing in a home is open to others or tells names or content', async t => {
  const grove = await GroveHome.initialised(t)
  await grove.mount()
  const content = 'the quick brown fox jumps over the lazy dog '.repeat(5_000)
  await grove.write('unmistakable-name', content)
  await grove.write('unmistakable-small', 'the quick brown fox')
  await grove.succeed(['unmount'])
  for (const path of await filesOf(grove)) {
    const bytes = await readFile(path)
    for (const word of ['unmistakable', 'quick brown', 'desk'])
      t.notOk(bytes.includes(word), `${word} in ${path}`)
    t.equal((await stat(path)).mode & 0o077, 0, path)
  }
})
