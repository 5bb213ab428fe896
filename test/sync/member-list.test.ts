/** The rules of the list of members, on statements without signatures. */
import t from 'tap'
import { blake2b } from '../../src/crypto/sodium.ts'
import type { MemberAction, Right } from '../../src/crypto/member-statement.ts'
import { MEMBERS_MAX, listMembers, type KnownStatement } from '../../src/sync/member-list.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { filled, toHex } from '../support/bytes.ts'

const ROOT = 'the words'
const ALL: readonly Right[] = ['write', 'invite', 'release', 'audit']
/** How many random histories are listed in two orders; `GROVE_FUZZ` sets another number. */
const HISTORIES = Math.ceil(Number(process.env['GROVE_FUZZ'] ?? 20_000) / 20)
const SEED = Number(process.env['GROVE_SEED'] ?? 1)

let said = 0

interface Said {
  readonly rights?: readonly Right[]
  readonly listVersion?: number
}

/** `signer` says something about `subject`, having seen `after`. */
function say(
  ...[signer, action, subject, after, options = {}]: [
    signer: string,
    action: MemberAction,
    subject: string,
    after?: KnownStatement,
    options?: Said
  ]
): KnownStatement {
  said++
  const listVersion = options.listVersion ?? (after?.statement.listVersion ?? 0) + 1
  const empty = new Uint8Array(0)
  const keys = { signing: empty, box: empty, network: empty }
  return {
    hash: toHex(blake2b(Buffer.from(`statement ${said}`))),
    previous: after?.hash ?? toHex(filled(32, 0)),
    signer,
    subject,
    isRoot: signer === ROOT,
    statement: {
      action,
      listVersion,
      previous: empty,
      signer: empty,
      identity: empty,
      subject: keys,
      rights: options.rights ?? ALL,
      issuedMs: 1,
      envelopesHash: empty,
      cuts: [],
      sealedName: empty,
      proof: empty
    },
    bytes: empty
  }
}

/** The list in short: a name, with `-` before it when suspended. */
function names(...statements: readonly KnownStatement[]): string {
  const { members } = listMembers(statements)
  const shown = members.map(
    ({ attestation, isSuspended }) => `${isSuspended ? '-' : ''}${attestation.subject}`
  )
  return shown.join(' ')
}

t.test('members attest members, as far as their own rights go', async t => {
  const a = say(ROOT, 'attest', 'a')
  const b = say('a', 'attest', 'b', a, { rights: ['write', 'audit'] })
  const c = say('b', 'attest', 'c', b)
  t.equal(names(a, b), 'a b')
  t.equal(names(a, b, c), 'a b', 'b may not invite')
  t.equal(names(b), '', 'nobody attested a')
  t.equal(names(say('x', 'attest', 'x', a), a), 'a', 'nor does anybody attest themselves')

  const d = say('a', 'attest', 'd', b, { rights: ['invite'] })
  const e = say('d', 'attest', 'e', d)
  const { members } = listMembers([e, d, c, b, a])
  t.same(
    members.map(({ rights }) => rights),
    [ALL, ['write', 'audit'], ['invite'], ['invite']],
    'nobody passes on more than they have'
  )
})

t.test("a device's statement follows one that is here, by one", async t => {
  const a = say(ROOT, 'attest', 'a')
  const gap = say('a', 'attest', 'b', a, { listVersion: 9 })
  t.equal(names(a, gap), 'a', 'no version is left out')
  const b = say('a', 'attest', 'b', a)
  const c = say('a', 'attest', 'c', b)
  t.equal(names(a, c), 'a', 'c waits for b')
  t.equal(names(c, b, a), 'a b c')
  const far = say(ROOT, 'attest', 'z', undefined, { listVersion: 40 })
  t.equal(names(a, far), 'a z', 'the words know no version')
})

t.test('any member suspends any other at once; only the words lift it', async t => {
  const a = say(ROOT, 'attest', 'a')
  const b = say('a', 'attest', 'b', a, { rights: [] })
  const gone = say('b', 'suspend', 'a', b)
  t.equal(names(a, b, gone), '-a b', 'rights or none, attested by the words or not')
  t.equal(names(a, b, say('x', 'suspend', 'a', b)), 'a b', 'a stranger suspends nobody')
  const again = say('b', 'attest', 'a', gone, { rights: ALL })
  t.equal(names(a, b, gone, again), '-a b', 'a device cannot lift it')
  const lifted = say(ROOT, 'attest', 'a', gone)
  t.equal(names(a, b, gone, lifted), 'a b')
  const older = say(ROOT, 'attest', 'a', b)
  t.equal(names(a, b, gone, older), '-a b', 'of equal versions the stricter counts')
  t.equal(names(a, b, gone, lifted, say('b', 'suspend', 'a', lifted)), '-a b', 'and once more')
})

t.test('only the words revoke, and what they say last counts', async t => {
  const a = say(ROOT, 'attest', 'a')
  const b = say('a', 'attest', 'b', a)
  t.equal(names(a, b, say('a', 'revoke', 'b', b)), 'a b')
  const revoked = say(ROOT, 'revoke', 'b', b)
  t.equal(names(a, b, revoked), 'a -b')
  t.equal(names(a, b, revoked, say(ROOT, 'attest', 'b', b)), 'a -b', 'of equals the stricter')
  t.equal(names(a, b, revoked, say(ROOT, 'recover', 'b', revoked)), 'a b')
  t.equal(names(a, b, say('a', 'recover', 'c', b)), 'a b', 'a device recovers nothing')
})

t.test('two that suspend each other are both out, until one follows the other', async t => {
  const a = say(ROOT, 'attest', 'a')
  const b = say('a', 'attest', 'b', a)
  const ab = say('a', 'suspend', 'b', b)
  t.equal(names(a, b, ab, say('b', 'suspend', 'a', b)), '-a -b')
  t.equal(names(a, b, ab, say('b', 'suspend', 'a', ab)), 'a -b', 'b had seen that it was out')
  const lifted = say(ROOT, 'attest', 'b', ab)
  t.equal(names(a, b, ab, lifted, say('b', 'suspend', 'a', lifted)), '-a b', 'b is back')
})

t.test('a suspended device brings in nobody by back-dating', async t => {
  const a = say(ROOT, 'attest', 'a')
  const b = say('a', 'attest', 'b', a)
  const c = say('b', 'attest', 'c', b)
  const d = say('c', 'attest', 'd', c)
  const seen = say('a', 'suspend', 'b', d)
  t.equal(names(a, b, c, d, seen), 'a -b c d', 'what the suspension follows stands')
  const accomplice = say('b', 'attest', 'x', b)
  const further = say('x', 'attest', 'y', accomplice)
  t.equal(names(a, b, accomplice, further), 'a b x y')
  t.equal(names(a, b, c, d, seen, accomplice, further), 'a -b c d')
  const twice = say('c', 'suspend', 'b', b)
  t.equal(names(a, b, c, d, seen, twice), 'a -b', 'every suspension must have seen it')
  const lifted = say(ROOT, 'attest', 'b', seen)
  const later = say('b', 'attest', 'e', lifted)
  t.equal(names(a, b, c, d, seen, lifted, later), 'a b c d e')
})

t.test('the first of several attestations counts, but for those of the words', async t => {
  const a = say(ROOT, 'attest', 'a')
  const first = say('a', 'attest', 'b', a, { rights: ['write'] })
  const second = say('a', 'attest', 'b', first, { rights: ['audit'] })
  const rightsOf = (...statements: KnownStatement[]) => listMembers(statements).members[1]?.rights
  t.same(rightsOf(second, first, a), ['write'])
  t.same(rightsOf(a, first, second, say(ROOT, 'attest', 'b', a, { rights: ['release'] })), [
    'release'
  ])
})

t.test('the head is the newest that counts', async t => {
  t.same(listMembers([]).head, { listVersion: 1, previous: filled(32, 0) })
  const a = say(ROOT, 'attest', 'a')
  const b = say('a', 'attest', 'b', a)
  const noise = say('x', 'attest', 'y', b)
  const { head, effective, chained } = listMembers([noise, b, a])
  t.equal(head.listVersion, 3)
  t.equal(toHex(head.previous), b.hash)
  t.same([...effective].sort(), [a.hash, b.hash].sort())
  t.same([...chained.keys()], [a.hash, b.hash, noise.hash], 'each after what it follows')
})

t.test('a drive has a bounded number of members, the same ones everywhere', async t => {
  const statements = [say(ROOT, 'attest', 'a')]
  for (let count = 0; count < MEMBERS_MAX + 10; count++) {
    statements.push(say('a', 'attest', `device ${count}`, statements.at(-1)))
  }
  const { members } = listMembers(statements)
  t.equal(members.length, MEMBERS_MAX)
  t.equal(names(...statements.toReversed()), names(...statements))
})

t.test(`the list of ${HISTORIES} random histories does not depend on order`, async t => {
  const random = new SeededRandom(SEED)
  const pick = <Item>(items: readonly Item[]): Item => {
    const [low = 0, high = 0] = random.bytes(2)
    return items[(low + 256 * high) % items.length] as Item
  }
  let suspensions = 0
  let withdrawn = 0
  let dropped = 0
  for (let history = 0; history < HISTORIES; history++) {
    const statements = [say(ROOT, 'attest', 'a')]
    for (let count = 0; count < 14; count++) {
      const signer = pick([ROOT, 'a', 'b', 'c', 'd', 'a', 'b', 'c', 'd'])
      const action = pick(['attest', 'attest', 'suspend', 'revoke', 'recover'] as const)
      const subject = pick(['a', 'b', 'c', 'd', 'e'])
      statements.push(
        say(signer, action, subject, pick(statements), { rights: pick([ALL, ['write'], ALL]) })
      )
    }
    const shuffled = statements
      .map(statement => [toHex(random.bytes(4)), statement] as const)
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([, statement]) => statement)
    const [one, other] = [listMembers(statements), listMembers(shuffled)]
    if (JSON.stringify(one.members) !== JSON.stringify(other.members)) {
      t.fail(`history ${history} of seed ${SEED}`)
      return
    }
    const again = listMembers(one.chained.values())
    if (JSON.stringify(again.members) !== JSON.stringify(one.members)) {
      t.fail(`history ${history} of seed ${SEED}, passed on`)
      return
    }
    const carrying = statements.filter(({ hash, isRoot }) => isRoot || one.carrying.has(hash))
    const rest = listMembers(carrying)
    if (JSON.stringify(rest.members) !== JSON.stringify(one.members)) {
      t.fail(`history ${history} of seed ${SEED}, without what carries nothing`)
      return
    }
    if (carrying.length < statements.length) dropped++
    t.same(one.head, other.head)
    t.same(one.head, rest.head)
    if (one.members.some(({ isSuspended }) => isSuspended)) suspensions++
    if (one.members.length < new Set(statements.map(({ subject }) => subject)).size) withdrawn++
  }
  t.ok(suspensions > HISTORIES / 4, `${suspensions} had a suspension`)
  t.ok(dropped > HISTORIES / 4, `${dropped} had what carries nothing`)
  t.ok(withdrawn > HISTORIES / 4, `${withdrawn} had one who did not get in`)
})
