/** Whatever frames the other end sends, the process lives; the connection may not. */
import { EventEmitter } from 'node:events'
import t from 'tap'
import { GuardedMux } from '../../src/replication/guarded-mux.ts'
import { hostileBytes } from '../support/hostile-bytes.ts'
import { SeededRandom } from '../support/seeded-random.ts'

/** How many hostile frames are sent. */
const FUZZ_INPUTS = Number(process.env['GROVE_FUZZ'] ?? 100_000)
const SEED = Number(process.env['GROVE_SEED'] ?? 1)
const FRAMES_PER_STREAM = 50

/** A batch within a batch: the other channel 0, a length that is cut to what is there, a batch. */
const BATCH_LAYER = Uint8Array.of(0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0)
const BATCH_LAYERS = 20_000

/** Opens a channel: number 1, protocol `grove/1`, no id. */
const OPEN = Buffer.from([0, 1, 1, 7, ...Buffer.from('grove/1'), 0])
const GENUINE = [
  OPEN,
  Buffer.from([1, 0, 1, 2, 3]),
  Buffer.from([0, 0, 1, 2, 0, 9, 2, 0, 8]),
  Buffer.from([0, 2, 1]),
  Buffer.from([0, 3, 1])
]

/** As much of a stream as a multiplexer calls. */
class FakeStream extends EventEmitter {
  userData: unknown = null
  destroyed = false

  write(): boolean {
    return true
  }

  pause(): void {
    // Nothing flows by itself.
  }

  resume(): void {
    // Nothing flows by itself.
  }

  destroy(): void {
    if (this.destroyed) return
    this.destroyed = true
    this.emit('close')
  }
}

interface Guarded {
  /** Takes a frame, as if it had come. */
  readonly take: (frame: Uint8Array) => void
  readonly stream: FakeStream
  readonly messages: Uint8Array[]
  faults: number
}

function guarded(options: { admits?: (bytes: number) => boolean; throws?: Error } = {}): Guarded {
  const { admits = () => true, throws } = options
  const stream = new FakeStream()
  const state: Guarded = {
    take: frame => stream.emit('data', Buffer.from(frame)),
    stream,
    messages: [],
    faults: 0
  }
  const mux = new GuardedMux(stream, { admits, onFault: () => state.faults++ })
  const onmessage = (message: Uint8Array): void => {
    if (throws !== undefined) throw throws
    state.messages.push(message)
  }
  mux.createChannel({ protocol: 'grove/1', messages: [{ onmessage }] })?.open()
  return state
}

t.test('what is in order arrives', async t => {
  const { take, messages, stream } = guarded()
  take(OPEN)
  take(Buffer.from([1, 0, 7, 8]))
  t.same(messages, [Buffer.from([7, 8])])
  t.notOk(stream.destroyed)
  stream.destroy()
})

t.test('batches within batches end the connection and not the process', async t => {
  const state = guarded()
  const layers = Buffer.concat(Array.from({ length: BATCH_LAYERS }, () => BATCH_LAYER))
  state.take(Buffer.concat([Uint8Array.of(0, 0), layers]))
  t.ok(state.stream.destroyed)
  t.equal(state.faults, 1)
})

t.test('a handler that throws ends the connection and not the process', async t => {
  const state = guarded({ throws: new TypeError('a mistake') })
  state.take(OPEN)
  state.take(Buffer.from([1, 0, 7]))
  t.ok(state.stream.destroyed)
  t.equal(state.faults, 1)
})

t.test('what is not admitted is not looked at', async t => {
  const state = guarded({ admits: bytes => bytes < 5 })
  state.take(OPEN)
  t.ok(state.stream.destroyed)
  t.equal(state.faults, 1)
  t.equal(state.messages.length, 0)
})

t.test(`${FUZZ_INPUTS} hostile frames end nothing but connections (seed ${SEED})`, async t => {
  const random = new SeededRandom(SEED)
  let ended = 0
  for (let sent = 0; sent < FUZZ_INPUTS; sent += FRAMES_PER_STREAM) {
    const { take, stream } = guarded()
    take(OPEN)
    for (let count = 0; count < FRAMES_PER_STREAM; count++) take(hostileBytes(random, GENUINE))
    if (stream.destroyed) ended++
    stream.destroy()
    // What throws later, throws here.
    await new Promise(resolve => setImmediate(resolve))
  }
  t.ok(ended > 0, `${String(ended)} connections ended`)
})
