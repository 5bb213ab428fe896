/** Pairing over the real network: a private bootstrap node on this machine. */
import t from 'tap'
import { openPairingNetwork } from '../../bin/pairing-network.ts'
import { toHex } from '../support/bytes.ts'
import { LoopbackFabric } from '../support/loopback-fabric.ts'
import { inviterOf, join, makeInviter } from '../support/pairing-parties.ts'

t.test(
  'devices pair, second ones are refused, and keys of the network are never reused',
  async t => {
    const fabric = await LoopbackFabric.open()
    t.teardown(() => fabric.close())
    const keys: string[] = []
    const openNetwork = () => {
      const options = { bootstrap: [fabric.bootstrap], listenHost: '127.0.0.1' }
      const network = openPairingNetwork(options, message => t.comment(message))
      keys.push(toHex(network.publicKey))
      return network
    }
    const desk = await makeInviter({ openNetwork })
    t.teardown(() => desk.pairing.close())
    const { code } = desk.pairing.createInvitation()
    const startMs = performance.now()
    const { content } = await join(code, { openNetwork })
    t.comment(`paired in ${Math.round(performance.now() - startMs)} ms`)
    t.same(content.drive, desk.content.drive)
    await t.rejects(join(code, { openNetwork, name: 'phone' }), { code: 'USED' })

    const laptop = inviterOf(content, { openNetwork })
    t.teardown(() => laptop.pairing.close())
    const third = await join(laptop.pairing.createInvitation().code, { openNetwork, name: 'phone' })
    t.equal(third.inviter.name, 'laptop')
    t.equal(new Set(keys).size, keys.length)
    for (const { deviceKeys } of [desk.content, content, third.content]) {
      t.notOk(keys.includes(toHex(deviceKeys.network.publicKey)))
    }
  }
)
