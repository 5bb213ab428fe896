/** Lines from a terminal: hidden or shown, one after another, and given up. */
import { PassThrough } from 'node:stream'
import t from 'tap'
import { LineReader } from '../../bin/line-reader.ts'

function terminal() {
  const shown: string[] = []
  const raw: boolean[] = []
  const keyboard = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: (on: boolean) => raw.push(on)
  })
  const reader = new LineReader({
    keyboard,
    show: text => shown.push(text),
    lineBytesMax: 8,
    cancelled: () => new Error('given up')
  })
  return { reader, keyboard, shown, raw }
}

t.test('a hidden line is not shown, and what follows it is the next', async t => {
  const { reader, keyboard, shown, raw } = terminal()
  keyboard.write('one\rtwo\r')
  t.equal(Buffer.from(await reader.readHidden('? ')).toString(), 'one')
  t.equal(Buffer.from(await reader.readHidden('! ')).toString(), 'two')
  t.equal(shown.join(''), '? \n! \n')
  t.same(raw, [true, false, true, false])
})

t.test('a shown line is shown as it is typed, without what a terminal would obey', async t => {
  const { reader, keyboard, shown } = terminal()
  keyboard.write('yes\u001B\r')
  t.match(await reader.readShown('? '), /^yes/)
  t.equal(shown.join(''), '? yes\n')
})

t.test('a line has a largest size, and can be given up', async t => {
  const { reader, keyboard } = terminal()
  keyboard.write('123456789\r')
  t.equal((await reader.readHidden('')).length, 8)
  keyboard.write('y\u0003')
  await t.rejects(reader.readShown(''), { message: 'given up' })
  keyboard.end()
  await t.rejects(reader.readShown(''), { message: 'given up' })
})
