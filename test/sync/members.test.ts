/** Members: real statements, verified, bounded, in any order. */
import t from 'tap'
import { KeyTable } from '../../src/crypto/key-table.ts'
import { MEMBER_CUTS_MAX } from '../../src/crypto/member-statement.ts'
import { blake2b } from '../../src/crypto/sodium.ts'
import {
  MEMBER_STATEMENTS_BYTES_MAX,
  MEMBER_STATEMENTS_MAX,
  MEMBER_STATEMENTS_PER_SIGNER_MAX,
  MEMBER_STATEMENTS_WAITING_MAX,
  Members,
  memberId
} from '../../src/sync/members.ts'
import { filled, flipped, toHex } from '../support/bytes.ts'
import { deviceOf, makePerson, state, type Person } from '../support/member-device.ts'
import { SeededRandom } from '../support/seeded-random.ts'

/** How many hostile statements are tried; `GROVE_FUZZ` sets another number. */
const FUZZ_INPUTS = Number(process.env['GROVE_FUZZ'] ?? 100_000)
const SEED = Number(process.env['GROVE_SEED'] ?? 1)

const [desk, laptop, phone] = [deviceOf(1), deviceOf(2), deviceOf(3)]
const person = await makePerson()
const other = await makePerson(1)

const ofDesk = state(person, person.identity.signing, { about: desk, name: 'desk' })
const ofLaptop = state(person, desk.signing, {
  about: laptop,
  name: 'laptop',
  after: ofDesk,
  own: ofDesk
})
const ofPhone = state(person, laptop.signing, {
  about: phone,
  name: 'phone',
  after: ofLaptop,
  own: ofLaptop
})
const noMoreLaptop = state(person, phone.signing, {
  action: 'suspend',
  about: laptop,
  after: ofPhone
})
const ALL = [ofDesk, ofLaptop, ofPhone, noMoreLaptop]

const membersOf = ({ identity, keys }: Person, statements: readonly Uint8Array[] = []) =>
  new Members({ identity: identity.signing.publicKey, keys, statements })
const shown = (members: Members) =>
  members.all().map(({ name, isSuspended }) => `${isSuspended ? '-' : ''}${name}`)

t.test('add() makes members and says what became of a statement', async t => {
  const members = membersOf(person)
  let changes = 0
  members.onChange = () => changes++
  t.equal(members.add(ofDesk), 'added')
  t.equal(members.add(ofDesk), 'known')
  t.equal(changes, 1)
  t.equal(members.add(ofLaptop), 'added')
  const member = members.bySigning(memberId(laptop.signing.publicKey))
  t.match(member, {
    id: toHex(laptop.signing.publicKey),
    name: 'laptop',
    rights: ['write', 'invite', 'release', 'audit'],
    isSuspended: false
  })
  t.same(member?.statement, ofLaptop)
  t.same(
    [member?.signing, member?.box, member?.network],
    [laptop.signing.publicKey, laptop.box.publicKey, laptop.network.publicKey]
  )
  t.equal(members.byNetwork(laptop.network.publicKey), member)
  t.equal(members.byNetwork(laptop.signing.publicKey), undefined)
  t.equal(members.bySigning(memberId(phone.signing.publicKey)), undefined)
  const keys = [person.identity.signing, laptop.signing, phone.signing]
  const mayRelease = () => keys.map(({ publicKey }) => members.hasRight(publicKey, 'release'))
  t.same(mayRelease(), [true, true, false], 'the person, a device, and a stranger')
  t.same(members.head, { listVersion: 3, previous: blake2b(ofLaptop) })
  t.equal(members.add(ofPhone), 'added')
  t.equal(members.add(noMoreLaptop), 'added')
  t.same(shown(members), ['desk', '-laptop', 'phone'])
  t.same(mayRelease(), [true, false, true], 'no device that was put out')
  t.equal(changes, 4)
})

t.test('every order of arrival makes one list', async t => {
  const orders = (items: readonly Uint8Array[]): Uint8Array[][] =>
    items.length === 0
      ? [[]]
      : items.flatMap(first =>
          orders(items.filter(item => item !== first)).map(rest => [first, ...rest])
        )
  for (const order of orders(ALL)) {
    const members = membersOf(person)
    for (const statement of order) members.add(statement)
    t.same(shown(members), ['desk', '-laptop', 'phone'])
    t.equal(members.waiting, 0)
    t.same(members.statements(), ALL, 'each after what it follows')
  }
})

t.test('what comes early waits and tells nobody', async t => {
  const members = membersOf(person)
  let changes = 0
  members.onChange = () => changes++
  t.equal(members.add(ofPhone), 'waiting')
  t.equal(members.add(ofPhone), 'known')
  t.equal(members.add(ofLaptop), 'waiting')
  t.equal(members.waiting, 2)
  t.equal(changes, 0)
  t.same(members.all(), [])
  t.equal(members.add(ofDesk), 'added')
  t.same(shown(members), ['desk', 'laptop', 'phone'])
  t.equal(changes, 1)
})

t.test('what is not genuine or not ours is refused and counted', async t => {
  const members = membersOf(person, [ofDesk])
  const refused = [
    new Uint8Array(0),
    ofLaptop.subarray(1),
    flipped(ofLaptop, ofLaptop.length - 1),
    state(other, other.identity.signing, { about: desk }),
    state(other, desk.signing, { about: laptop, after: ofDesk, own: ofDesk }),
    state(person, desk.signing, { action: 'revoke', about: laptop, after: ofDesk }),
    state(person, desk.signing, { action: 'recover', about: laptop, after: ofDesk })
  ]
  for (const bytes of refused) t.equal(members.add(bytes), 'refused')
  t.equal(members.refused, refused.length)
  t.same(shown(members), ['desk'])
  const forged = state(person, phone.signing, { about: laptop, after: ofDesk, own: ofDesk })
  t.equal(members.add(forged), 'refused', 'a proof by another parent')
})

t.test('a name that no key opens is the beginning of the id, until one does', async t => {
  const keys = new KeyTable()
  const identity = person.identity.signing.publicKey
  const members = new Members({ identity, keys, statements: [ofDesk] })
  t.same(shown(members), [toHex(desk.signing.publicKey).slice(0, 8)])
  for (const row of person.keys.rows()) keys.add(row)
  members.add(ofLaptop)
  t.same(shown(members), ['desk', 'laptop'])
})

t.test("no later attestation takes a device's network key", async t => {
  const thief = deviceOf(9)
  const stolen = { ...thief.publicKeys, network: desk.network.publicKey }
  const statement = state(person, laptop.signing, {
    about: thief,
    after: ofLaptop,
    own: ofLaptop,
    content: { subject: stolen }
  })
  const members = membersOf(person, [ofDesk, ofLaptop, statement])
  t.equal(members.all().length, 3)
  t.equal(members.byNetwork(desk.network.publicKey)?.name, 'desk')
})

t.test('the bytes that are passed in may be changed afterwards', async t => {
  const members = membersOf(person)
  const bytes = new Uint8Array(ofDesk)
  members.add(bytes)
  bytes.fill(0)
  t.same(members.statements(), [ofDesk])
})

t.test('one device cannot crowd out the rest, and all of them not the memory', async t => {
  const members = membersOf(person, [ofDesk, ofLaptop])
  const flood = (speaker: typeof desk, count: number) => {
    let accepted = 0
    for (let number = 0; number < count; number++) {
      const content = { envelopesHash: filled(32, number % 251), issuedMs: number }
      const saying = { action: 'suspend', about: phone, after: ofLaptop, content } as const
      if (members.add(state(person, speaker.signing, saying)) !== 'refused') accepted++
    }
    return accepted
  }
  // The attestation of the laptop is the desk's own.
  t.equal(flood(desk, MEMBER_STATEMENTS_PER_SIGNER_MAX + 5), MEMBER_STATEMENTS_PER_SIGNER_MAX - 1)
  t.equal(members.refused, 6)
  t.equal(flood(laptop, 3), 3)
  const before = members.statements().length + members.waiting
  for (let number = 10; number < 20; number++) flood(deviceOf(number), 120)
  const kept = members.statements().length + members.waiting
  t.ok(kept <= before + 2 * MEMBER_STATEMENTS_WAITING_MAX, 'strangers')
  t.equal(members.add(ofPhone), 'added', 'not full')
  t.same(shown(members), ['desk', 'laptop', '-phone'])
})

t.test('a full list still takes suspensions by members and the words', async t => {
  const crowd = Array.from({ length: 8 }, (_, number) => deviceOf(20 + number))
  const root = person.identity.signing
  const first = state(person, root, { about: desk })
  const members = membersOf(person, [first])
  for (const speaker of crowd) {
    const own = state(person, root, { about: speaker })
    members.add(own)
    for (let number = 0; number < 160; number++) {
      const content = { issuedMs: number }
      members.add(state(person, speaker.signing, { about: phone, after: first, own, content }))
    }
  }
  const more = state(person, desk.signing, { about: phone, after: first, own: first })
  t.equal(members.add(more), 'refused', 'full')
  const out = { action: 'suspend', about: phone, after: first } as const
  t.equal(members.add(state(person, desk.signing, out)), 'added')
  for (let number = 0; number < MEMBER_STATEMENTS_MAX / 4; number++) {
    const content = { issuedMs: number }
    members.add(state(person, crowd[number % 8]?.signing ?? root, { ...out, content }))
  }
  t.equal(members.add(state(person, desk.signing, { ...out, about: laptop })), 'refused')
  t.equal(members.add(state(person, root, { about: laptop })), 'added', 'the words')
})

t.test('what waits is given up, the oldest first; what carries the list stays', async t => {
  const members = membersOf(person, ALL)
  const list = shown(members)
  const junk = (number: number) =>
    state(person, deviceOf(50).signing, {
      action: 'suspend',
      about: desk,
      after: noMoreLaptop,
      content: { issuedMs: number }
    })
  for (let number = 0; number <= MEMBER_STATEMENTS_WAITING_MAX; number++) members.add(junk(number))
  t.same(shown(members), list)
  t.equal(members.statements().length, ALL.length + MEMBER_STATEMENTS_WAITING_MAX)
  t.equal(members.add(junk(1)), 'known')
  t.equal(members.add(junk(0)), 'waiting', 'it had been given up')
  t.equal(membersOf(person, members.statements()).statements().length, members.statements().length)
})

t.test('addVouched() takes what the words or a member said, and no stranger', async t => {
  const members = membersOf(person)
  t.equal(members.addVouched(ofLaptop), 'refused', 'desk is nobody yet')
  t.equal(members.addVouched(ofDesk), 'added')
  t.equal(members.addVouched(ofPhone), 'refused')
  t.equal(members.waiting, 0)
  for (const statement of [ofLaptop, ofPhone, noMoreLaptop])
    t.equal(members.addVouched(statement), 'added')
  const late = { action: 'suspend', about: desk, after: noMoreLaptop } as const
  t.equal(members.addVouched(state(person, laptop.signing, late)), 'waiting', 'was a member')
  t.equal(members.addVouched(state(person, deviceOf(50).signing, late)), 'refused')
})

t.test('large statements are bounded by their bytes', async t => {
  const members = membersOf(person, [ofDesk, ofLaptop])
  const cuts = Array.from({ length: MEMBER_CUTS_MAX }, () => {
    return { log: filled(32, 1), length: 1, treeHash: filled(32, 2) }
  })
  let bytes = 0
  for (let number = 0; number < MEMBER_STATEMENTS_PER_SIGNER_MAX - 1; number++) {
    const content = { cuts, issuedMs: number }
    const saying = { action: 'suspend', about: phone, after: ofLaptop, content } as const
    const statement = state(person, desk.signing, saying)
    if (members.add(statement) !== 'refused') bytes += statement.length
  }
  t.ok(members.refused > 0)
  t.ok(bytes < MEMBER_STATEMENTS_BYTES_MAX && bytes > 0.9 * MEMBER_STATEMENTS_BYTES_MAX)
})

t.test(`${FUZZ_INPUTS} hostile statements change nothing (seed ${SEED})`, async t => {
  const random = new SeededRandom(SEED)
  const members = membersOf(person, ALL)
  const before = shown(members)
  for (let count = 0; count < FUZZ_INPUTS; count++) {
    const base = ALL[count % ALL.length] ?? ofDesk
    const [low = 0, high = 0, mask = 1, cut = 0] = random.bytes(4)
    const at = (low + 256 * high) % base.length
    const changed = flipped(base, at, mask === 0 ? 1 : mask)
    const bytes = cut < 40 ? changed.subarray(0, at) : changed
    if (members.add(bytes) !== 'refused') t.fail(`input ${count} was not refused`)
  }
  t.equal(members.refused, FUZZ_INPUTS)
  t.same(shown(members), before)
})
