/** Holders are asked for summaries: honest, silent, refusing and lying ones. */
import t, { type Test } from 'tap'
import { SystemClock } from '../../bin/system-clock.ts'
import { DeviceKeys } from '../../src/crypto/device-keys.ts'
import { blake2b } from '../../src/crypto/sodium.ts'
import {
  HolderInquiry,
  type AskHoldersParts,
  type AskedHolder
} from '../../src/replication/ask-holders.ts'
import { ReplicationError } from '../../src/replication/replication-error.ts'
import { filled, toHex } from '../support/bytes.ts'
import { MemoryHolderLink } from '../support/memory-holder-link.ts'
import { MemoryFabric, type MemoryPeerNetwork } from '../support/memory-peer-network.ts'
import { RecoverableDrive } from '../support/recoverable-drive.ts'

/** For answers that must not come. */
const BRIEFLY_MS = 300

interface MemoryHolder {
  readonly network: MemoryPeerNetwork
  readonly link: MemoryHolderLink
}

async function stage(t: Test) {
  const drive = await RecoverableDrive.make()
  const { recovery } = await drive.identity()
  const clock = new SystemClock()
  const fabric = new MemoryFabric({ clock, random: drive.random })
  const alive = setInterval(() => undefined, 1_000)
  const holders = new Map<string, MemoryHolder>()
  const networks: MemoryPeerNetwork[] = []
  t.teardown(async () => {
    clearInterval(alive)
    await Promise.all(networks.map(network => network.close()))
  })
  /** A holder that the drive knows; on unless told otherwise. */
  const holder = (isOn = true): MemoryHolder => {
    const keys = DeviceKeys.generate(drive.random)
    drive.state('add', keys)
    const network = fabric.network(keys.network)
    networks.push(network)
    if (isOn) network.join(filled(32, 1))
    const made = { network, link: new MemoryHolderLink(toHex(keys.signing.publicKey)) }
    holders.set(toHex(network.publicKey), made)
    return made
  }
  const ask = (named: readonly MemoryHolder[], more: Partial<AskHoldersParts> = {}) => {
    const network = fabric.network()
    networks.push(network)
    return HolderInquiry.ask({
      network,
      greet: async ({ remotePublicKey }) => {
        const found = holders.get(toHex(remotePublicKey))
        if (found === undefined) throw new Error('no holder')
        if (found.link.refusal !== undefined)
          throw new ReplicationError(found.link.refusal, 'refused')
        return found.link
      },
      found: drive.found(named.map(each => each.network.publicKey)),
      identity: drive.made.content.identity,
      recovery,
      clock,
      ...more
    })
  }
  return { drive, holder, ask, networks }
}

const answers = (holders: readonly AskedHolder[]) => holders.map(({ answer }) => answer)

t.test('all holders are asked, those too that only the summaries name', async t => {
  const { drive, holder, ask } = await stage(t)
  const [one, other] = [holder(), holder()]
  one.link.given.push(await drive.summary({ timeMs: 5 }))
  other.link.given.push(await drive.summary({ timeMs: 6, sequence: 2 }))
  const told: string[][] = []
  const inquiry = await ask([one], { onAnswer: holders => told.push(answers(holders)) })
  t.same(answers(inquiry.holders), ['answered', 'answered'])
  t.same(
    inquiry.holders.map(({ name }) => name),
    ['anna', 'anna']
  )
  t.ok(inquiry.isComplete)
  t.notOk(inquiry.isStale)
  t.equal(inquiry.summaries.newestMs, 6)
  t.same(told[0], ['silent'])
  t.same(told.at(-1), ['answered', 'answered'])
})

t.test('one that is off is waited for until the deadline', async t => {
  const { drive, holder, ask } = await stage(t)
  const [one, off] = [holder(), holder(false)]
  one.link.given.push(await drive.summary())
  const inquiry = await ask([one, off], { deadlineMs: BRIEFLY_MS })
  t.same(answers(inquiry.holders), ['answered', 'silent'])
  t.notOk(inquiry.isComplete)
})

t.test('one that hands over what is not genuine has lied, and the others count', async t => {
  const { drive, holder, ask } = await stage(t)
  const [garbage, honest, old] = [holder(), holder(), holder()]
  const newest = await drive.summary({ sequence: 9, timeMs: 9_000 })
  garbage.link.given.push(filled(300, 1))
  honest.link.given.push(newest)
  old.link.given.push(await drive.summary({ sequence: 1, timeMs: 1_000 }))
  const inquiry = await ask([garbage, honest, old])
  t.same(answers(inquiry.holders), ['lied', 'answered', 'answered'])
  t.equal(inquiry.summaries.newestMs, 9_000)
  t.notOk(inquiry.isComplete)
})

t.test('when all hand over old summaries, the record tells', async t => {
  const { drive, holder, ask } = await stage(t)
  const one = holder()
  const newest = await drive.summary({ sequence: 9, timeMs: 9_000 })
  one.link.given.push(await drive.summary({ sequence: 1, timeMs: 1_000 }))
  const said = { summaryMs: 9_000, summaryHash: blake2b(newest) }
  const found = drive.found([one.network.publicKey], said)
  t.ok((await ask([], { found })).isStale)
  one.link.given.push(newest)
  t.notOk((await ask([], { found })).isStale)
})

t.test('one that refuses is not waited for', async t => {
  const { drive, holder, ask } = await stage(t)
  const [one, shut] = [holder(), holder()]
  one.link.given.push(await drive.summary())
  shut.link.refusal = 'REFUSED'
  const inquiry = await ask([one, shut])
  t.same(answers(inquiry.holders), ['answered', 'refused'])
})

t.test('one whose connection breaks is asked again', async t => {
  const { drive, holder, ask } = await stage(t)
  const one = holder()
  one.link.given.push(await drive.summary())
  let attempts = 0
  one.link.answer = async () => {
    if (++attempts === 1) throw new ReplicationError('CLOSED', 'gone')
    return one.link.given
  }
  const inquiry = await ask([one])
  t.equal(attempts, 2)
  t.ok(inquiry.isComplete)
})

t.test('connections are told of, and told of again when they broke', async t => {
  const { drive, holder, ask } = await stage(t)
  const one = holder()
  one.link.given.push(await drive.summary())
  const inquiry = await ask([one])
  const keys: string[] = []
  const again = new Promise<void>(resolve => {
    inquiry.onConnections(({ remotePublicKey }) => {
      keys.push(toHex(remotePublicKey))
      if (keys.length === 2) resolve()
    })
  })
  t.equal(keys.length, 1)
  await one.network.connections[0]?.close()
  await again
  t.equal(keys[1], toHex(one.network.publicKey))
})

t.test('nobody, or nobody who has anything, is one clear failure', async t => {
  const { holder, ask } = await stage(t)
  const off = holder(false)
  await t.rejects(ask([off], { deadlineMs: BRIEFLY_MS }), {
    code: 'NO_ANSWER',
    message: /none of 1 holders answers/
  })
  const empty = holder()
  await t.rejects(ask([empty]), { code: 'NO_ANSWER', message: /1 of 1 .* no/ })
  await t.rejects(ask([]), { code: 'NO_ANSWER' })
})

t.test('asking can be given up', async t => {
  const { holder, ask } = await stage(t)
  const off = holder(false)
  await t.rejects(ask([off], { signal: AbortSignal.abort() }), { code: 'INTERRUPTED' })
  const controller = new AbortController()
  const asking = ask([off], { signal: controller.signal })
  controller.abort()
  await t.rejects(asking, { code: 'INTERRUPTED' })
})
