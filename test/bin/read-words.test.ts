/** The words of a drive: typed, pasted as they were shown, or piped; never shown again. */
import { PassThrough } from 'node:stream'
import t from 'tap'
import { readWords, WORDS_BYTES_MAX } from '../../bin/read-words.ts'

const WORDS = `${'abandon '.repeat(23)}art`

/** Standard input that is a terminal, or a pipe when it is not. */
function input(isTTY: boolean) {
  const shown: string[] = []
  const keyboard = Object.assign(new PassThrough(), { isTTY, setRawMode: () => undefined })
  return { source: { keyboard, show: (text: string) => shown.push(text) }, shown, keyboard }
}

t.test('words are typed on one line or several, and are not shown', async t => {
  for (const typed of [`${WORDS}\r`, `${WORDS.replaceAll(' ', '\r')}\r`]) {
    const { source, shown, keyboard } = input(true)
    keyboard.write(typed)
    t.equal(await readWords(source), WORDS)
    t.notMatch(shown.join(''), 'abandon')
  }
})

t.test('who types too few is told how many are there', async t => {
  const { source, shown, keyboard } = input(true)
  keyboard.write('abandon abandon\r')
  const reading = readWords(source)
  await new Promise(resolve => setImmediate(resolve))
  keyboard.write(`${WORDS.slice(2 * 'abandon '.length)}\r`)
  t.equal(await reading, WORDS)
  t.match(shown.join(''), '2 of 24')
})

t.test('they may be pasted as init shows them', async t => {
  const { source, keyboard } = input(true)
  const shown = WORDS.split(' ').map((word, at) => `${String(at + 1).padStart(4)} ${word}  `)
  for (let at = 0; at < 24; at += 6) keyboard.write(`${shown.slice(at, at + 6).join('')}\r`)
  t.equal(await readWords(source), WORDS)
})

t.test('they may be piped', async t => {
  const { source, keyboard, shown } = input(false)
  const reading = readWords(source)
  for (const word of WORDS.split(' ')) keyboard.write(`${word}\n`)
  keyboard.end()
  t.equal(await reading, WORDS)
  t.same(shown, [])
})

t.test('too few, too many, too much and nothing are refused', async t => {
  for (const piped of ['', 'abandon', `${WORDS} art`, 'x '.repeat(WORDS_BYTES_MAX)]) {
    const { source, keyboard } = input(false)
    const reading = readWords(source)
    keyboard.end(piped)
    await t.rejects(reading, { name: 'GroveError', code: 'FAILED' })
  }
  const { source, keyboard } = input(true)
  keyboard.write('abandon\u0003')
  await t.rejects(readWords(source), { code: 'FAILED', message: 'no words were given' })
})
