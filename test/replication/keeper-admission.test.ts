/** Whom a keeper admits: secrets, members, quotas. */
import t from 'tap'
import {
  INVITATIONS_MAX,
  KeeperAdmission,
  type InvitationTerms
} from '../../src/replication/keeper-admission.ts'
import { KeeperRecords } from '../../src/replication/keeper-records.ts'
import type { Hello } from '../../src/replication/keeper-session.ts'
import { filled } from '../support/bytes.ts'
import { deviceOf, makePerson, state } from '../support/member-device.ts'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { VIRTUAL_START_SEC, VirtualClock } from '../support/virtual-clock.ts'

const terms: InvitationTerms = { quotaBytes: 1000, expiresMs: 0 }

function open(store = new MemoryKeyValueStore(), clock = new VirtualClock()) {
  const records = new KeeperRecords(store)
  return { admission: new KeeperAdmission({ records, clock, random: new SeededRandom(1) }), clock }
}

/** A device of a person, calling. */
async function caller(number = 0, secret?: Uint8Array): Promise<Hello> {
  const person = await makePerson(number)
  const device = deviceOf(20 + number)
  return {
    identity: person.identity.signing.publicKey,
    drive: filled(32, 1),
    secret,
    statements: [state(person, person.identity.signing, { about: device })],
    network: device.network.publicKey
  }
}

t.test('a secret admits one person, who may show it again', async t => {
  const store = new MemoryKeyValueStore()
  const { admission } = open(store)
  const secret = await admission.invite(terms)
  const [ann, bob] = [await caller(0, secret), await caller(1, secret)]
  t.ok(admission.mayGreet(ann))
  t.match(await admission.admit(ann), { row: { quotaBytes: 1000, drive: filled(32, 1) } })
  t.equal(admission.persons().length, 1)
  t.notOk(admission.mayGreet(bob), 'used')
  t.equal(await admission.admit(bob), undefined)
  t.ok(admission.mayGreet(ann))
  t.ok(admission.mayGreet({ ...ann, secret: undefined }), 'known by now')
  t.ok(admission.mayGreet({ ...ann, drive: undefined }), 'after the loss of all devices')
  t.notOk(admission.mayGreet({ ...ann, drive: filled(32, 9) }), 'another drive')
  const again = open(store.copy()).admission
  t.ok(again.mayGreet({ ...ann, secret: undefined }), 'after a restart')
  t.equal(again.members(ann.identity).all().length, 1)
})

t.test(
  'who was named when they were invited is called so, and may be called otherwise',
  async t => {
    const store = new MemoryKeyValueStore()
    const { admission } = open(store)
    const ann = await caller(0, await admission.invite({ ...terms, name: 'Änne' }))
    const bob = await caller(1, await admission.invite(terms))
    t.equal(admission.nameOf(ann.identity), '')
    for (const one of [ann, bob]) await admission.admit(one)
    t.same([admission.nameOf(ann.identity), admission.nameOf(bob.identity)], ['Änne', ''])
    await admission.setName(bob.identity, 'Bob')
    await admission.setName(ann.identity, '')
    const again = open(store.copy()).admission
    t.same([again.nameOf(ann.identity), again.nameOf(bob.identity)], ['', 'Bob'])
    await t.rejects(admission.setName(bob.identity, 'a\nb'), RangeError)
    await t.rejects(admission.invite({ ...terms, name: 'x'.repeat(64) }), RangeError)
    await t.resolves(admission.invite(terms))
  }
)

t.test('without a secret, with a wrong or an expired one nobody is admitted', async t => {
  const { admission, clock } = open()
  const secret = await admission.invite({ ...terms, expiresMs: VIRTUAL_START_SEC * 1000 + 5000 })
  const [used] = [await admission.invite({ ...terms, expiresMs: VIRTUAL_START_SEC * 1000 + 5000 })]
  for (const wrong of [undefined, filled(16, 9), filled(16, 0)]) {
    t.notOk(admission.mayGreet(await caller(0, wrong)))
    t.equal(await admission.admit(await caller(0, wrong)), undefined)
  }
  t.ok(await admission.admit(await caller(0, used)))
  clock.advance(5000)
  t.notOk(admission.mayGreet(await caller(1, secret)))
  t.equal(await admission.admit(await caller(1, secret)), undefined)
  t.ok(admission.mayGreet(await caller(0, used)), 'used in time')
})

t.test('who is no member is not admitted, and the secret is not used up', async t => {
  const { admission } = open()
  const secret = await admission.invite(terms)
  const ann = await caller(0, secret)
  const other = { ...ann, network: deviceOf(50).network.publicKey }
  t.equal(await admission.admit(other), undefined, 'another network key')
  t.equal(await admission.admit({ ...ann, statements: [] }), undefined)
  const bob = await caller(1)
  t.equal(await admission.admit({ ...ann, statements: bob.statements }), undefined)
  t.equal(await admission.admit({ ...ann, drive: undefined }), undefined)
  t.ok(await admission.admit(await caller(1, secret)), 'somebody else still can')
})

t.test('recognise() only ever learns', async t => {
  const store = new MemoryKeyValueStore()
  const { admission } = open(store)
  const ann = await caller(0, await admission.invite(terms))
  const members = (await admission.admit(ann))?.members
  if (members === undefined) throw new Error('not admitted')
  const person = await makePerson(0)
  const root = person.identity.signing
  const [first, second] = [deviceOf(20), deviceOf(21)]
  const [own] = ann.statements
  if (own === undefined) throw new Error('no statement')
  const attested = state(person, root, { about: second, after: own })
  const suspended = state(person, root, { action: 'suspend', about: first, after: attested })
  const as = (device: typeof first, statements: readonly Uint8Array[]) =>
    admission.recognise(members, { ...ann, statements, network: device.network.publicKey })
  t.ok(await as(first, []))
  t.notOk(await as(second, []), 'not heard of')
  t.ok(await as(second, [attested]))
  t.ok(await as(first, ann.statements), 'with an older list')
  t.notOk(await as(first, [attested, suspended]))
  t.notOk(await as(first, ann.statements), 'suspended, with an older list')
  const again = open(store.copy()).admission
  const brought = { ...ann, network: first.network.publicKey }
  t.notOk(await again.recognise(again.members(ann.identity), brought), 'after a restart')
  t.ok(await as(second, []))
})

t.test('setQuota() of who is known', async t => {
  const { admission } = open()
  const ann = await caller(0, await admission.invite(terms))
  await admission.admit(ann)
  await admission.setQuota(ann.identity, 5)
  await admission.setQuota(filled(32, 9), 5)
  t.same(
    admission.persons().map(({ row }) => row.quotaBytes),
    [5]
  )
})

t.test('invitations have a limit; expired ones make room', async t => {
  const { admission, clock } = open()
  const expiring = { ...terms, expiresMs: VIRTUAL_START_SEC * 1000 + 1000 }
  for (let count = 0; count < INVITATIONS_MAX; count++)
    await admission.invite(count === 0 ? expiring : terms)
  await t.rejects(admission.invite(terms), RangeError)
  clock.advance(2000)
  await admission.invite(terms)
  await t.rejects(admission.invite(terms), RangeError)
})
