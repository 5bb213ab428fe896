/** The real thing: a drive on a holder, the computer wiped, and the whole tree back from words. */
import { cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { DevicesAnswer } from '../../bin/api.ts'
import type { ExplainAnswer } from '../../bin/custody-api.ts'
import { systemRandom } from '../../bin/system-random.ts'
import { bootstrapProcess } from './bootstrap-process.ts'
import { GroveHome, runProgram, until } from './grove-home.ts'

/** More than fits an entry, in several blocks. */
const LARGE_BYTES = 3_000_000

t.test('init, host, write, wipe, recover, diff', async t => {
  const environment = await bootstrapProcess(t)
  const elsewhere = { ...environment, GROVE_MACHINE: 'attic' }
  const attic = await GroveHome.make(t, { environment: elsewhere })
  t.teardown(() => attic.run(['host', 'stop']))
  const { code } = (await attic.json(['host', '--space', '1GB'])) as { readonly code: string }
  const desk = await GroveHome.make(t, { environment })
  const { words } = (await desk.json(['init', '--name', 'desk'])) as { readonly words: string }
  await desk.mount()
  await desk.succeed(['holders', 'add', code])

  const original = join(desk.folder, 'original')
  await mkdir(join(original, 'letters', 'old'), { recursive: true })
  await writeFile(join(original, 'letters', 'old', 'anna.txt'), 'Dear Anna')
  await writeFile(join(original, 'large'), systemRandom.bytes(LARGE_BYTES))
  await cp(original, desk.mountPoint, { recursive: true })
  const copies = async (name: string): Promise<number> =>
    ((await desk.json(['explain', join(desk.mountPoint, name)])) as ExplainAnswer).verifiedCopies
  for (const name of ['large', 'letters'])
    await until(async () => (await copies(name)) === 2, `${name} has two copies`)

  await desk.succeed(['stop'])
  await rm(desk.directory, { recursive: true })
  const wrong = await desk.run(['recover'], {
    input: [...words.split(' ').slice(1), 'abandon'].join(' ')
  })
  t.equal(wrong.code, 1)
  t.match(wrong.stderr, /^grove: [^\n]+\n$/)

  let recovered: unknown
  await until(async () => {
    const outcome = await desk.run(['recover', '--json', '--name', 'new'], { input: words })
    if (outcome.code === 0) recovered = JSON.parse(outcome.stdout)
    return outcome.code === 0
  }, 'the record is in the hash table')
  t.match(recovered, { answered: 1, complete: true, missingEntries: 0 })
  await desk.mount()
  const { stdout, code: difference } = await runProgram('diff', ['-r', original, desk.mountPoint])
  t.same([difference, stdout], [0, ''])
  const { devices } = (await desk.json(['devices'])) as DevicesAnswer
  t.same(devices.map(({ name }) => name).toSorted(), ['desk', 'new'])
  await writeFile(join(desk.mountPoint, 'after'), 'goes on')
  await desk.succeed(['sync'])
  await desk.succeed(['stop'])
})
