/** The built `grove invite` and `grove join`: codes that do not work join nothing. */
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import t from 'tap'
import { encodeInvitationCode, INVITATION_SECRET_BYTES } from '../../src/crypto/invitation-code.ts'
import { bootstrapProcess } from './bootstrap-process.ts'
import { firstDevice, invite } from './device-pair.ts'
import { GroveHome } from './grove-home.ts'

/** One line that begins with the program's name. */
const ONE_LINE = /^grove: [^\n]+\n$/

t.test('a wrong, used or expired code is one line, and nothing is joined', async t => {
  const environment = await bootstrapProcess(t)
  const desk = await firstDevice(t, environment)
  const code = await invite(desk)
  const other = code.startsWith('y') ? `b${code.slice(1)}` : `y${code.slice(1)}`
  const stranger = await GroveHome.make(t, { environment })
  const refused = async (text: string, says = 'grove'): Promise<void> => {
    const { code: exitCode, stderr, stdout } = await stranger.run(['join', text])
    t.equal(exitCode, 1, text)
    t.match(stderr, ONE_LINE)
    t.match(stderr, says)
    t.equal(stdout, '')
    t.notOk(existsSync(stranger.directory), 'nothing is left')
  }
  await refused('nonsense')
  await refused(other)
  const secret = new Uint8Array(INVITATION_SECRET_BYTES).fill(7)
  // Whoever made it remembers it no more.
  await refused(encodeInvitationCode({ secret, expiresMs: Date.now() - 86_400_000 }), 'expired')
  const phone = await GroveHome.make(t, { environment })
  await phone.succeed(['join', code])
  await refused(code, 'used')
  t.match(await desk.json(['status']), { network: { devices: 1 } })
  t.match((await stranger.run(['status'])).stderr, 'grove init')
  t.strictSame(await readdir(stranger.folder), [])
})
