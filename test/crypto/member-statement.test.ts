/** Statements about members: bytes, proofs inside, limits. */
import assert from 'node:assert/strict'
import t from 'tap'
import { DeviceKeys } from '../../src/crypto/device-keys.ts'
import { sealDeviceName } from '../../src/crypto/device-name.ts'
import { Identity, proveDevice } from '../../src/crypto/identity.ts'
import { KeyTable } from '../../src/crypto/key-table.ts'
import {
  MEMBER_CUTS_MAX,
  openMemberStatement,
  signMemberStatement
} from '../../src/crypto/member-statement.ts'
import type { MemberContent } from '../../src/crypto/member-statement.ts'
import {
  NO_PREVIOUS,
  decodeStatement,
  encodeStatement,
  signStatement
} from '../../src/crypto/statement.ts'
import { filled, flipped, replaced, toHex } from '../support/bytes.ts'
import { FUZZ_INPUTS } from '../support/fuzz-decoder.ts'
import { fuzzStatement } from '../support/fuzz-statement.ts'
import { goldenVector } from '../support/golden-vector.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const SEED = 20_261_130
const TIME_MS = 1_790_000_000_000
/** Where the rights lie in the body: after the identity and three keys. */
const RIGHTS_OFFSET = 4 * 32

async function attestation(): Promise<{ identity: Identity; content: MemberContent }> {
  const identity = await Identity.fromWords(`${'abandon '.repeat(23)}art`)
  const subject = DeviceKeys.generate(new SeededRandom(1)).publicKeys
  const keys = KeyTable.generate(new SeededRandom(2))
  const random = new SeededRandom(3)
  const content: MemberContent = {
    action: 'attest',
    listVersion: 1,
    previous: NO_PREVIOUS,
    identity: identity.signing.publicKey,
    subject,
    rights: ['write', 'audit'],
    issuedMs: TIME_MS,
    envelopesHash: filled(32, 6),
    cuts: [],
    sealedName: sealDeviceName({ name: 'laptop', device: subject.signing, keys, random }),
    proof: proveDevice({ device: subject.signing, parent: identity.signing, timeMs: TIME_MS })
  }
  return { identity, content }
}

t.test('openMemberStatement() gives back what was signed, in fixed bytes', async t => {
  const { identity, content } = await attestation()
  const bytes = signMemberStatement(content, identity.signing)
  t.equal(toHex(bytes), toHex(goldenVector('crypto', 'attestation')))
  t.same(openMemberStatement(bytes), { ...content, signer: identity.signing.publicKey })
})

t.test('a suspension carries cuts and an expiry, and needs no proof', async t => {
  const { content } = await attestation()
  const member = DeviceKeys.generate(new SeededRandom(9))
  const cuts = [
    { log: filled(32, 1), length: 5, treeHash: filled(32, 2) },
    { log: filled(32, 3), length: 2 ** 40, treeHash: filled(32, 4) }
  ]
  const suspension: MemberContent = {
    ...content,
    action: 'suspend',
    listVersion: 2,
    previous: filled(32, 5),
    rights: [],
    expiresMs: TIME_MS + 1,
    cuts,
    sealedName: new Uint8Array(0),
    proof: new Uint8Array(0)
  }
  const bytes = signMemberStatement(suspension, member.signing)
  t.equal(toHex(bytes), toHex(goldenVector('crypto', 'suspension')))
  t.same(openMemberStatement(bytes), { ...suspension, signer: member.signing.publicKey })
})

t.test('openMemberStatement() refuses every changed byte', async () => {
  const { identity, content } = await attestation()
  const bytes = signMemberStatement(content, identity.signing)
  for (let offset = 0; offset < bytes.length; offset++) {
    const open = () => openMemberStatement(flipped(bytes, offset))
    assert.throws(open, { name: 'CryptoError' }, `byte ${offset}`)
  }
})

t.test('an attestation needs a proof by that identity for that device', async t => {
  const { identity, content } = await attestation()
  const thief = DeviceKeys.generate(new SeededRandom(4))
  const { subject } = content
  const forged: readonly [string, Partial<MemberContent>][] = [
    ['another device', { subject: { ...subject, signing: thief.signing.publicKey } }],
    ['another identity', { identity: thief.signing.publicKey }],
    [
      'vouching for oneself',
      {
        proof: proveDevice({
          device: subject.signing,
          parent: thief.signing,
          timeMs: TIME_MS
        })
      }
    ]
  ]
  for (const [what, change] of forged) {
    const bytes = signMemberStatement({ ...content, ...change }, thief.signing)
    t.throws(() => openMemberStatement(bytes), { code: 'FORGED' }, what)
  }
  const without = signMemberStatement({ ...content, proof: new Uint8Array(0) }, identity.signing)
  t.throws(() => openMemberStatement(without), { code: 'MALFORMED' }, 'no proof')
})

t.test('openMemberStatement() refuses unknown rights, domains and bodies', async t => {
  const { identity, content } = await attestation()
  const { domain, sequence, previous, body } = decodeStatement(
    signMemberStatement(content, identity.signing)
  )
  const resigned = (change: { body?: Uint8Array; domain?: string }) =>
    encodeStatement(
      signStatement({ domain, sequence, previous, body, ...change }, identity.signing)
    )
  const rights = resigned({ body: replaced(body, RIGHTS_OFFSET, 16) })
  t.throws(() => openMemberStatement(rights), { code: 'NEWER_FORMAT' })
  const receipt = resigned({ domain: 'custody/receipt' })
  t.throws(() => openMemberStatement(receipt), { code: 'MALFORMED' })
  const longer = resigned({ body: Buffer.concat([body, filled(1, 0)]) })
  t.throws(() => openMemberStatement(longer), { code: 'MALFORMED' })
  for (let size = 0; size < body.length; size += 7) {
    const shorter = resigned({ body: body.subarray(0, size) })
    assert.throws(() => openMemberStatement(shorter), { code: 'TRUNCATED' }, `${size} bytes`)
  }
  const nameAt = RIGHTS_OFFSET + 4 + 16 + 32 + 4
  const name = resigned({ body: replaced(body, nameAt, 1) })
  t.throws(() => openMemberStatement(name), { code: 'MALFORMED' }, 'a sealed name of 1 byte')
})

t.test(`openMemberStatement() survives ${FUZZ_INPUTS} hostile inputs (seed ${SEED})`, async t => {
  const { identity, content } = await attestation()
  const { opened, failures } = fuzzStatement({
    random: new SeededRandom(SEED),
    inputs: FUZZ_INPUTS,
    genuine: signMemberStatement(content, identity.signing),
    keyPair: identity.signing,
    reopened: bytes => signMemberStatement(openMemberStatement(bytes), identity.signing)
  })
  t.same(failures, [])
  t.ok(opened > FUZZ_INPUTS / 100, `${opened} changed bodies were opened`)
})

t.test('signMemberStatement() keeps the limits', async t => {
  const { identity, content } = await attestation()
  const cut = { log: filled(32, 1), length: 5, treeHash: filled(32, 2) }
  const cuts = Array.from({ length: MEMBER_CUTS_MAX }, () => cut)
  const revoke: MemberContent = { ...content, action: 'revoke', cuts }
  t.equal(
    openMemberStatement(signMemberStatement(revoke, identity.signing)).cuts.length,
    cuts.length
  )
  const sign = (change: Partial<MemberContent>) => () =>
    signMemberStatement({ ...content, ...change }, identity.signing)
  t.throws(sign({ cuts: [...cuts, cut] }), RangeError)
  t.throws(sign({ proof: new Uint8Array(5000) }), RangeError)
  t.throws(sign({ sealedName: new Uint8Array(3) }), RangeError)
})
