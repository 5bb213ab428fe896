/** Windows of logs: their bytes, both ways. */
import t from 'tap'
import { ByteReader } from '../../src/crypto/byte-reader.ts'
import { ByteWriter } from '../../src/crypto/byte-writer.ts'
import {
  LOG_WINDOW_BYTES,
  WINDOW_BITMAP_BYTES,
  WINDOW_BLOCKS,
  logWindowName,
  readLogWindow,
  writeLogWindow
} from '../../src/crypto/log-window.ts'
import type { LogWindow } from '../../src/crypto/log-window.ts'
import { filled, toHex } from '../support/bytes.ts'

const window: LogWindow = {
  log: filled(32, 1),
  window: 0x04030201,
  bitmap: filled(WINDOW_BITMAP_BYTES, 0x81)
}

function written(value: LogWindow): Uint8Array {
  const writer = new ByteWriter(new Uint8Array(LOG_WINDOW_BYTES))
  writeLogWindow(writer, value)
  return writer.end()
}

t.test('readLogWindow() gives back what writeLogWindow() wrote, in fixed bytes', async t => {
  t.equal(WINDOW_BLOCKS, 1024)
  const bytes = written(window)
  t.equal(toHex(bytes), `${'01'.repeat(32)}01020304${'81'.repeat(128)}`)
  t.equal(toHex(logWindowName(window)), toHex(bytes).slice(0, 72))
  const reader = new ByteReader(bytes)
  t.same(readLogWindow(reader), window)
  reader.end()
  const cut = () => readLogWindow(new ByteReader(bytes.subarray(1)))
  t.throws(cut, { code: 'TRUNCATED' })
})

t.test('writeLogWindow() refuses other sizes', async t => {
  t.throws(() => written({ ...window, log: filled(31, 1) }), RangeError)
  t.throws(() => written({ ...window, window: 2 ** 32 }), RangeError)
  t.throws(() => written({ ...window, bitmap: filled(127, 1) }), RangeError)
})
