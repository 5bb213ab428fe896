/** Which holders a drive has: the newest statement of each counts, and only members' count. */
import t from 'tap'
import { DeviceKeys } from '../../src/crypto/device-keys.ts'
import { signHolderStatement, type HolderContent } from '../../src/crypto/holder-statement.ts'
import { Members, memberId } from '../../src/sync/members.ts'
import { HOLDERS_MAX, KnownHolders } from '../../src/replication/known-holders.ts'
import { ReplicatedDrive } from '../support/replicated-drive.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const random = new SeededRandom(11)

async function parties() {
  const drive = await ReplicatedDrive.make()
  const deviceKeys = drive.newKeys()
  drive.state('attest', deviceKeys, 'laptop')
  const { identity, keys, statements } = drive
  const members = new Members({ identity, keys, statements })
  const holders = new KnownHolders({ drive: drive.drive, members })
  const holder = DeviceKeys.generate(random)
  const content = (changes: Partial<HolderContent> = {}): HolderContent => ({
    action: 'add',
    version: 1,
    drive: drive.drive,
    holder: holder.publicKeys.signing,
    network: holder.publicKeys.network,
    machineTag: new Uint8Array(16),
    timeMs: 0,
    name: 'anna',
    site: 'attic',
    machine: '',
    person: '',
    ...changes
  })
  const signed = (changes: Partial<HolderContent> = {}, keys = deviceKeys): Uint8Array =>
    signHolderStatement(content(changes), keys.signing)
  const id = memberId(holder.publicKeys.signing)
  return { drive, members, holders, deviceKeys, holder, signed, id }
}

t.test('the highest version counts, in whatever order statements come', async t => {
  const { holders, signed, id, holder } = await parties()
  let changes = 0
  holders.onChange = () => changes++
  t.equal(holders.nextVersion(id), 1)
  t.ok(holders.add(signed({ version: 2, site: 'cellar' })))
  t.notOk(holders.add(signed()), 'an older one')
  t.notOk(holders.add(signed({ version: 2, site: 'cellar' })), 'the same again')
  t.match(holders.all(), [{ id, statement: { name: 'anna', site: 'cellar' } }])
  t.equal(holders.byNetwork(holder.publicKeys.network)?.id, id)
  t.ok(holders.add(signed({ version: 3, action: 'remove' })))
  t.same([holders.all(), holders.byId(id)], [[], undefined])
  t.equal(holders.nextVersion(id), 4)
  t.match(holders.removed(), [{ id, statement: { version: 3 } }])
  t.ok(holders.add(signed({ version: 4 })), 'it may be added again')
  t.equal(holders.byId(id)?.id, id)
  t.same(holders.removed(), [])
  t.equal(changes, 3)
})

t.test('two of one version: all devices choose the same', async t => {
  const { holders, signed, drive, members } = await parties()
  const others = new KnownHolders({ drive: drive.drive, members })
  const [left, right] = [signed({ site: 'a' }), signed({ site: 'b' })]
  for (const bytes of [left, right]) holders.add(bytes)
  for (const bytes of [right, left]) others.add(bytes)
  t.equal(holders.all()[0]?.statement.site, others.all()[0]?.statement.site)
})

t.test('strangers, other drives and garbage add nothing; the suspended remove nothing', async t => {
  const { holders, signed, drive, members, deviceKeys } = await parties()
  t.notOk(holders.add(signed({}, DeviceKeys.generate(random))))
  t.notOk(holders.add(signed({ drive: new Uint8Array(32) })))
  t.notOk(holders.add(new Uint8Array(40)))
  t.notOk(holders.add(drive.state('attest', drive.newKeys())))
  t.ok(holders.add(signed()))
  members.add(drive.state('suspend', deviceKeys))
  t.notOk(holders.add(signed({ version: 2, action: 'remove' })))
  t.equal(holders.all().length, 1)
})

t.test('there is a limit', async t => {
  const { holders, signed } = await parties()
  const more = (): Partial<HolderContent> => ({ holder: random.bytes(32) })
  for (let count = 0; count < HOLDERS_MAX; count++) t.ok(holders.add(signed(more())))
  t.notOk(holders.add(signed(more())))
  t.equal(holders.all().length, HOLDERS_MAX)
})
