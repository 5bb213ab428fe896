/**
 * The addon by itself, over descriptors that are no mounts: reading in turns, replying in parts,
 * the queue of notifications, and receiving a descriptor.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  loadFuseAddon,
  type FuseAddon,
  type FuseDevice
} from '../../../../src/fs/fuse/linux/fuse-device.ts'
import { until } from '../../../support/memory-mount.ts'

const COMPILER = process.env['CC'] ?? 'cc'
const hasCompiler = spawnSync(COMPILER, ['--version']).status === 0
const skip = hasCompiler ? false : 'there is no C compiler'

interface Piped {
  readonly device: FuseDevice
  readonly request: Uint8Array
  readonly reply: Uint8Array
  /** The other end: what the kernel would hold. */
  readonly kernel: number
}

/** A device whose descriptor is a socket; the test is its kernel. */
function piped(t: Test, addon: FuseAddon, onReadable: () => void, turnRequests = 10): Piped {
  const sockets = addon.socketPair()
  if (typeof sockets === 'number') throw new Error(`socketPair: ${sockets}`)
  const [ours, kernel] = sockets
  const request = new Uint8Array(100)
  const reply = new Uint8Array(100)
  const device = new addon.FuseDevice(ours, request, reply, onReadable, 1000, turnRequests, 50)
  t.teardown(() => {
    device.close()
    closeSync(kernel)
  })
  return { device, request, reply, kernel }
}

function received(kernel: number, length: number): string {
  const bytes = Buffer.alloc(length)
  return bytes.toString('latin1', 0, readSync(kernel, bytes))
}

t.test('the compiled addon is found and loads', { skip }, async t => {
  const script = join(import.meta.dirname, '../../../../scripts/build-addon.mjs')
  t.equal(execFileSync(process.execPath, [script], { encoding: 'utf8' }), '', 'it is up to date')
  t.match(Object.keys(loadFuseAddon()), ['FuseDevice'])
})

t.test('a turn reads what is there, up to its limit, and comes again', { skip }, async t => {
  const addon = loadFuseAddon()
  const turns: string[][] = []
  const { device, request, kernel } = piped(
    t,
    addon,
    () => {
      const turn: string[] = []
      for (let length; (length = device.read(false)) > 0;)
        turn.push(Buffer.from(request.subarray(0, length)).toString())
      turns.push(turn)
    },
    1
  )
  t.equal(device.start(), 0)
  writeSync(kernel, 'x'.repeat(150))
  await until('both are read', () => turns.flat().length === 2)
  t.strictSame(turns.slice(0, 2), [['x'.repeat(100)], ['x'.repeat(50)]])
})

t.test('whether something waits is known without reading it', { skip }, async t => {
  const { device, kernel } = piped(t, loadFuseAddon(), () => undefined)
  t.equal(device.isReadable(), 0)
  writeSync(kernel, 'x')
  t.equal(device.isReadable(), 1)
  t.equal(device.isReadable(), 1, 'it is still there')
  t.equal(device.read(false), 0, 'not outside of a turn')
  device.close()
  t.equal(device.isReadable(), 0)
})

t.test('a turn is over when its time is', { skip }, async t => {
  const addon = loadFuseAddon()
  let reads = 0
  const { device, kernel } = piped(t, addon, () => {
    const end = performance.now() + 5
    while (performance.now() < end);
    reads += device.read(true)
  })
  device.start()
  writeSync(kernel, 'x')
  await new Promise(resolve => setTimeout(resolve, 50))
  t.equal(reads, 0, 'after 5 ms nothing is read in a turn of 1 ms')
})

t.test('replies go out in parts, in order', { skip }, async t => {
  const { device, reply, kernel } = piped(t, loadFuseAddon(), () => undefined)
  reply.set(Buffer.from('header'))
  t.equal(device.reply(6), 6)
  t.equal(received(kernel, 100), 'header')
  const parts = [Buffer.from('one'), new Uint8Array(0), Buffer.from('..two..').subarray(2, 5)]
  t.equal(device.replyParts(4, parts), 10)
  t.equal(received(kernel, 100), 'headonetwo')
  t.throws(() => device.reply(101), TypeError, 'no more than the buffer')
  t.throws(() => device.replyParts(1, ['text' as never]), TypeError)
  t.throws(() =>
    device.replyParts(
      1,
      Array.from({ length: 2000 }, () => new Uint8Array(1))
    )
  )
})

t.test('failures are negative numbers', { skip }, async t => {
  const addon = loadFuseAddon()
  const { device, kernel } = piped(t, addon, () => undefined)
  device.close()
  device.close()
  t.equal(device.reply(1), -9, 'EBADF')
  t.equal(device.read(true), -9)
  t.equal(device.notify(new Uint8Array(1), true), -9)
  t.equal(device.startNotifier(1, 1), -9)
  t.equal(device.start(), -9)
  t.equal(readSync(kernel, Buffer.alloc(1)), 0, 'close() closes the descriptor')
  t.equal(await addon.unmount('/no/such/place', 0), -2)
  t.equal(
    await addon.mount('/no/such/place', 'fuse.grove', 0, 'fd=0'),
    process.geteuid?.() === 0 ? -2 : -1
  )
  t.throws(() => new addon.FuseDevice(0, 'x' as never, 'y' as never, () => undefined, 1, 1, 1))
})

t.test('notifications are written by the thread, in order, and bounded', { skip }, async t => {
  const { device, kernel } = piped(t, loadFuseAddon(), () => undefined)
  t.equal(device.notify(Buffer.from('x'), false), -9, 'the thread is not started')
  t.equal(device.startNotifier(3, 1000), 0)
  t.equal(device.startNotifier(3, 1000), -9, 'only once')
  for (const text of ['one ', 'two ', 'three']) t.equal(device.notify(Buffer.from(text), false), 0)
  await until('they are sent', () => device.notifyStatus()[1] === 3)
  t.equal(received(kernel, 100), 'one two three')

  t.equal(device.notify(new Uint8Array(1001), false), -11, 'too many bytes')
  const full = piped(t, loadFuseAddon(), () => undefined).device
  t.equal(full.startNotifier(0, 1000), 0)
  t.equal(full.notify(new Uint8Array(1), false), -11, 'too many messages')
  t.equal(full.notifyStatus()[0], 0)
})

t.test('a descriptor is received, or given up', { skip }, async t => {
  const addon = loadFuseAddon()
  const sockets = addon.socketPair()
  if (typeof sockets === 'number') throw new Error(`socketPair: ${sockets}`)
  const [ours, theirs] = sockets
  t.equal(await addon.receiveDescriptor(ours, 20), -11, 'nobody sends one')
  const file = openSync(join(import.meta.dirname, 'fuse-device.test.ts'), 'r')
  const script = `
    import socket
    s = socket.socket(fileno=3)
    socket.send_fds(s, [b"x"], [4])`
  const sent = spawnSync('python3', ['-c', script.replaceAll('\n    ', '\n')], {
    stdio: ['ignore', 'ignore', 'ignore', theirs, file]
  })
  if (sent.status === 0) {
    const fd = await addon.receiveDescriptor(ours, 5000)
    t.ok(fd > 2)
    t.equal(received(fd, 3), '/**', 'it is the same file')
    addon.closeDescriptor(fd)
  } else t.comment('there is no python3 to send one; kernel-mount.test.ts has fusermount3 do it')
  closeSync(file)
  addon.closeDescriptor(theirs)
  t.equal(await addon.receiveDescriptor(ours, 1000), -2, 'the sender has gone')
  t.equal(addon.closeDescriptor(ours), 0)
  t.equal(addon.closeDescriptor(ours), -9)
})
