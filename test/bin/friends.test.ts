/**
 * The real thing: two friends, each the other's holder. What each keeps for the other is seen at
 * both ends, and who is too far behind gets nothing new until the bound is lifted.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { ExplainAnswer, HoldersAnswer, HolderStatus } from '../../bin/custody-api.ts'
import type { HeldPerson, HolderProcessStatus } from '../../bin/holder-api.ts'
import { systemRandom } from '../../bin/system-random.ts'
import { ONLINE_TICK_MS } from '../../src/replication/keeper.ts'
import { bootstrapProcess } from './bootstrap-process.ts'
import { GroveHome, until } from './grove-home.ts'

/** Two drives and two holders start, and balances are counted in ticks: 93 s on a slow machine. */
t.setTimeout(400_000)

/** Somebody with a drive and a holder on one computer. */
interface Friend {
  readonly desk: GroveHome
  readonly nas: GroveHome
  readonly code: string
}

/** @param other - for whom the holder's code is */
async function friend(
  t: Test,
  world: Readonly<Record<string, string>>,
  { name, other }: { readonly name: string; readonly other: string }
): Promise<Friend> {
  const environment = { ...world, GROVE_MACHINE: name }
  const desk = await GroveHome.initialised(t, { environment })
  await desk.mount()
  const nas = await GroveHome.make(t, { environment })
  t.teardown(() => nas.run(['host', 'stop']))
  await nas.succeed(['host', '--space', '1GB', '--name', `${name}-nas`, '--drive', desk.directory])
  const { code } = (await nas.json(['host', 'invite', '--person', other])) as {
    readonly code: string
  }
  return { desk, nas, code }
}

async function write({ desk }: Friend, name: string, bytes: number): Promise<string> {
  const path = join(desk.mountPoint, name)
  await writeFile(path, systemRandom.bytes(bytes))
  return path
}

async function holderOf({ desk }: Friend, name: string): Promise<HolderStatus | undefined> {
  const { holders } = (await desk.json(['holders'])) as HoldersAnswer
  return holders.find(holder => holder.name === name)
}

async function explained({ desk }: Friend, path: string): Promise<ExplainAnswer> {
  return (await desk.json(['explain', path])) as ExplainAnswer
}

async function personAt({ nas }: Friend): Promise<HeldPerson | undefined> {
  return ((await nas.json(['host', 'status'])) as HolderProcessStatus).persons[0]
}

t.test('balances both ways, and a bound on their difference', async t => {
  const world = await bootstrapProcess(t)
  const anna = await friend(t, world, { name: 'anna', other: 'Bert' })
  const bert = await friend(t, world, { name: 'bert', other: 'Anna' })
  await anna.desk.succeed(['holders', 'add', bert.code, '--person', 'Bert'])
  await bert.desk.succeed(['holders', 'add', anna.code, '--person', 'Anna'])
  const [much, little] = [await write(anna, 'much', 8_000_000), await write(bert, 'little', 2e6)]
  for (const [who, path] of [[anna, much] as const, [bert, little] as const])
    await until(async () => (await explained(who, path)).verifiedCopies === 2, 'two copies')
  await sleep(2 * ONLINE_TICK_MS)
  // Balances are settled when a holder is met, and once an hour.
  for (const { desk } of [anna, bert]) {
    await desk.succeed(['stop'])
    await desk.mount()
  }
  const isSeen = async (who: Friend, name: string): Promise<boolean> => {
    const { keptGibDays = 0, givenGibDays = 0 } = (await holderOf(who, name)) ?? {}
    return keptGibDays > 0 && givenGibDays > 0
  }
  await until(() => isSeen(anna, 'bert-nas'), 'both ways at Anna’s')
  await until(() => isSeen(bert, 'anna-nas'), 'both ways at Bert’s')
  const [there, back] = [await holderOf(anna, 'bert-nas'), await holderOf(bert, 'anna-nas')]
  t.equal(there?.keptGibDays, back?.givenGibDays, 'both see what both signed')
  t.equal(there?.givenGibDays, back?.keptGibDays)
  t.ok((there?.keptGibDays ?? 0) > (there?.givenGibDays ?? 0))
  t.match(await anna.desk.succeed(['holders']), / kept \d+\.\d+ .iB days for you, you \d+\.\d+ .iB/)

  await until(async () => (await personAt(bert))?.returnedGibDays !== undefined, 'word of it')
  t.match(await personAt(bert), { name: 'Anna', isBehind: false })
  await bert.nas.succeed(['host', '--imbalance', '0'])
  t.match(await bert.nas.succeed(['host', 'status']), /person .* Anna .* too far behind/)
  const more = await write(anna, 'more', 500_000)
  await until(async () => (await holderOf(anna, 'bert-nas'))?.problem !== undefined, 'a reason')
  t.match(await anna.desk.succeed(['holders']), /^bert-nas: it takes nothing new: it has kept/m)
  t.match(await anna.desk.succeed(['explain', more]), /bert-nas .* it takes nothing new: it has/)
  t.equal((await explained(anna, more)).verifiedCopies, 1)
  t.equal((await explained(anna, much)).verifiedCopies, 2, 'what it keeps it keeps')
  await bert.nas.succeed(['host', '--imbalance', 'none'])
  await until(async () => (await explained(anna, more)).verifiedCopies === 2, 'the second copy')
  t.equal((await holderOf(anna, 'bert-nas'))?.problem, undefined)
})

t.test('a person gets a name, and loses it', async t => {
  const world = await bootstrapProcess(t)
  const anna = await friend(t, world, { name: 'anna', other: 'Bert' })
  const desk = await GroveHome.initialised(t, { environment: { ...world, GROVE_MACHINE: 'b' } })
  await desk.mount()
  await desk.succeed(['holders', 'add', anna.code])
  const { id = '', name } = (await personAt(anna)) ?? {}
  t.equal(name, 'Bert')
  const digits = id.slice(0, 8)
  t.match(await anna.nas.json(['host', 'person', digits, 'Robert']), { id, name: 'Robert' })
  await anna.nas.succeed(['host', 'person', digits, ''])
  t.equal((await personAt(anna))?.name, undefined)
  const wrong = await anna.nas.run(['host', 'person', 'ffffffff', 'Carl'])
  t.match(wrong.stderr, /there is no such person/)
})
