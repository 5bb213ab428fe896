/** Keepers on one machine state one tag, which says nothing else. */
import { existsSync } from 'node:fs'
import t from 'tap'
import { machineTag } from '../../bin/machine-tag.ts'
import { MACHINE_TAG_BYTES } from '../../src/crypto/receipt.ts'
import { filled } from '../support/bytes.ts'

t.test('the tag follows from what names the machine', async t => {
  const [one, two] = [filled(32, 1), filled(32, 2)]
  const named = await machineTag({ GROVE_MACHINE: 'box' }, one)
  t.equal(named.length, MACHINE_TAG_BYTES)
  t.same(await machineTag({ GROVE_MACHINE: 'box' }, two), named)
  t.notSame(await machineTag({ GROVE_MACHINE: 'other' }, one), named)
  const here = await machineTag({}, one)
  t.same(await machineTag({ GROVE_MACHINE: '' }, one), here)
  const hasId = existsSync('/etc/machine-id') || existsSync('/var/lib/dbus/machine-id')
  const other = await machineTag({}, two)
  t.equal(Buffer.compare(other, here) === 0, hasId, 'without an id every keeper is a machine')
})
