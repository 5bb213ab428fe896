/** A real `grove bootstrap` on loopback, so that homes on this machine find each other. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import type { Test } from 'tap'
import { GroveHome } from './grove-home.ts'

/** What a home needs to be found by others on this machine. */
export type LoopbackEnvironment = Readonly<Record<'GROVE_LISTEN' | 'GROVE_BOOTSTRAP', string>>

/** Starts a node; the test's end ends it. */
export async function bootstrapProcess(t: Test): Promise<LoopbackEnvironment> {
  const grove = await GroveHome.make(t)
  const port = await freePort()
  const host = '127.0.0.1'
  const child = grove.start(['bootstrap', '--host', host, '--port', String(port), '--json'])
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'close')
  })
  const [line] = (await once(child.stdout ?? child, 'data')) as [Buffer]
  const { bootstrap } = JSON.parse(String(line)) as { readonly bootstrap: string }
  return { GROVE_LISTEN: host, GROVE_BOOTSTRAP: bootstrap }
}

/** A UDP port that was free a moment ago. */
async function freePort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  await once(socket, 'close')
  return port
}
