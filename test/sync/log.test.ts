/** A log's name is 64 lowercase hexadecimal digits and nothing else. */
import t from 'tap'
import { LOG_KEY_BYTES, logKey } from '../../src/sync/log.ts'

t.test('logKey() takes 64 lowercase hexadecimal digits', async t => {
  const digits = '0123456789abcdef'.repeat(4)
  t.equal(digits.length, 2 * LOG_KEY_BYTES)
  t.equal(logKey(digits), digits)
})

t.test('logKey() refuses everything else', async t => {
  const digits = 'a'.repeat(64)
  const wrong = ['', digits.slice(1), `${digits}a`, digits.toUpperCase(), `${digits}\n`]
  for (const text of [...wrong, `g${digits.slice(1)}`, ` ${digits}`]) {
    t.throws(() => logKey(text), TypeError, JSON.stringify(text))
  }
})
