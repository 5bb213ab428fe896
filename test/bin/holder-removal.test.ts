/**
 * The real thing: a level is lowered and what is too much is released; a holder is removed, told
 * to forget what it has, and taken in again.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type {
  ExplainAnswer,
  HolderRemoveLine,
  HoldersAnswer,
  HolderStatus,
  TrimAnswer
} from '../../bin/custody-api.ts'
import { systemRandom } from '../../bin/system-random.ts'
import { bootstrapProcess } from './bootstrap-process.ts'
import { GroveHome, until } from './grove-home.ts'

const FILE_BYTES = 1_000_000

type World = Readonly<Record<string, string>>

/** A holder on a machine of its own, and its code. */
async function host(t: Test, environment: World, name: string) {
  const home = await GroveHome.make(t, { environment: { ...environment, GROVE_MACHINE: name } })
  t.teardown(() => home.run(['host', 'stop']))
  const asked = ['host', '--space', '1GB', '--name', name]
  return { home, code: ((await home.json(asked)) as { readonly code: string }).code }
}

/** A drive with a file of several blocks, kept by both holders and this device. */
async function scene(t: Test) {
  const environment = await bootstrapProcess(t)
  const anna = await host(t, environment, 'anna')
  const bert = await host(t, environment, 'bert')
  const desk = await GroveHome.initialised(t, { environment })
  await desk.mount()
  for (const { code } of [anna, bert]) await desk.succeed(['holders', 'add', code])
  await desk.succeed(['redundancy', desk.mountPoint, '3/1'])
  const file = join(desk.mountPoint, 'file')
  await writeFile(file, systemRandom.bytes(FILE_BYTES))
  const explained = async (): Promise<ExplainAnswer> =>
    (await desk.json(['explain', file])) as ExplainAnswer
  await until(async () => (await explained()).verifiedCopies === 3, 'three copies')
  const status = async (name: string): Promise<HolderStatus | undefined> => {
    const { holders } = (await desk.json(['holders'])) as HoldersAnswer
    return holders.find(holder => holder.name === name)
  }
  return { anna, bert, desk, explained, status }
}

t.test('what is more than wished is released, by order, and taken back', async t => {
  const { desk, explained } = await scene(t)
  t.match(await desk.json(['holders', 'trim']), { holders: [], waiting: [] })
  await desk.succeed(['redundancy', desk.mountPoint, '2/1'])
  await until(async () => (await explained()).copies === 2, 'the level')
  const { holders, waiting } = (await desk.json(['holders', 'trim'])) as TrimAnswer
  t.equal(holders.length, 1, 'one of the two')
  t.ok((holders[0]?.toldBytes ?? 0) >= FILE_BYTES)
  t.match(waiting, [{ name: holders[0]?.name, reason: 'excess' }])
  const days = ((waiting[0]?.dueMs ?? 0) - Date.now()) / 86_400_000
  t.ok(days > 6.9 && days <= 7)
  t.match(await desk.succeed(['holders']), /released, to go from 2/)
  t.equal((await explained()).verifiedCopies, 3, 'and it is there until then')
  t.match(await desk.succeed(['holders', 'trim', '--cancel']), /stay after all/)
  t.match(await desk.json(['holders', 'trim', '--cancel']), { holders: [], waiting: [] })
})

t.test('a holder that is removed is told what to forget, and may be taken back', async t => {
  const { desk, explained, status } = await scene(t)
  const end = (await desk.json(['holders', 'remove', 'anna', '--force'])) as HolderRemoveLine
  t.ok('toldBytes' in end && end.toldBytes >= FILE_BYTES)
  const removed = await status('anna')
  t.match(removed, { state: 'leaving', online: true })
  t.ok((removed?.releasedBytes ?? 0) >= FILE_BYTES)
  t.equal((await explained()).verifiedCopies, 2)
  t.match(await desk.succeed(['holders', 'remove', 'anna', '--cancel']), /anna keeps copies again/)
  await until(async () => (await explained()).verifiedCopies === 3, 'what it has counts again')
  await until(async () => (await status('anna'))?.releasedBytes === undefined, 'all is taken back')
})

t.test('one that was away when it was removed is told when it is met', async t => {
  const { anna, desk, status } = await scene(t)
  await anna.home.succeed(['host', 'stop'])
  await until(async () => (await status('anna'))?.online === false, 'its end')
  const text = await desk.succeed(['holders', 'remove', 'anna', '--force'])
  t.match(text, /stay on its disk until this drive meets it again/)
  t.match(await status('anna'), { state: 'leaving', online: false })
  await anna.home.succeed(['host'])
  await until(async () => ((await status('anna'))?.releasedBytes ?? 0) >= FILE_BYTES, 'its release')
})
