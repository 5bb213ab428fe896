/** Passphrases come from a file or from a terminal that does not echo, as bytes. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import t from 'tap'
import { askPassphrase, chooseNewPassphrase, PASSPHRASE_BYTES_MAX } from '../../bin/passphrase.ts'
import { temporaryFolder } from './temporary-folder.ts'

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('utf8')

/** A terminal on which a person types `chunks`, each when something was shown. */
function terminal(...chunks: readonly string[]) {
  const raw: boolean[] = []
  const shown: string[] = []
  const waiting = [...chunks]
  const keyboard = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: (on: boolean) => raw.push(on)
  })
  const show = (line: string): void => {
    shown.push(line)
    const typed = waiting.shift()
    if (typed !== undefined) setImmediate(() => keyboard.write(Buffer.from(typed)))
  }
  return { source: { environment: {}, keyboard, show }, raw, shown, keyboard }
}

t.test('askPassphrase() reads a line without echo and gives the terminal back', async t => {
  const { source, raw, shown } = terminal('correct horse\r')
  t.equal(text(await askPassphrase(source)), 'correct horse')
  t.strictSame(raw, [true, false])
  t.notMatch(shown.join(''), 'horse')
})

t.test('askPassphrase() edits as a terminal does', async t => {
  for (const [typed, expected] of [
    ['abx\u007Fc\n', 'abc'],
    ['x\u0008\u0008\u0008abc\r', 'abc'],
    ['aé\u007Fb\r', 'ab'],
    ['wrong\u0015right\r', 'right'],
    ['übung\u0004', 'übung']
  ] as const)
    t.equal(text(await askPassphrase(terminal(typed).source)), expected)
})

t.test('askPassphrase() refuses nothing, too much, an interrupt and an end', async t => {
  for (const typed of ['\r', `${'x'.repeat(PASSPHRASE_BYTES_MAX + 1)}\r`, 'abc\u0003']) {
    const { source, raw } = terminal(typed)
    await t.rejects(askPassphrase(source), { code: 'PASSPHRASE' })
    t.equal(raw.at(-1), false, 'the terminal is given back')
  }
  const { source, keyboard } = terminal()
  const asked = askPassphrase(source)
  keyboard.end()
  await t.rejects(asked, { code: 'PASSPHRASE' })
})

t.test('askPassphrase() without a terminal names GROVE_PASSPHRASE_FILE', async t => {
  const { source } = terminal()
  const piped = { ...source, keyboard: Object.assign(new PassThrough(), { isTTY: false }) }
  await t.rejects(askPassphrase(piped), { code: 'PASSPHRASE', message: /GROVE_PASSPHRASE_FILE/ })
})

t.test('chooseNewPassphrase() asks twice, also when both lines come at once', async t => {
  t.equal(text(await chooseNewPassphrase(terminal('same\r', '', 'same\r').source)), 'same')
  t.equal(text(await chooseNewPassphrase(terminal('pasted\rpasted\r').source)), 'pasted')
  await t.rejects(chooseNewPassphrase(terminal('one\r', '', 'two\r').source), {
    code: 'PASSPHRASE',
    message: /differ/
  })
})

t.test('GROVE_PASSPHRASE_FILE is read without its line end', async t => {
  const path = join(await temporaryFolder(t), 'passphrase')
  const source = { ...terminal().source, environment: { GROVE_PASSPHRASE_FILE: path } }
  await t.rejects(askPassphrase(source), { code: 'PASSPHRASE', message: /cannot read/ })
  for (const [content, expected] of [
    ['secret', 'secret'],
    ['secret\n', 'secret'],
    ['secret\r\n', 'secret'],
    [' two\nlines \n', ' two\nlines ']
  ] as const) {
    await writeFile(path, content)
    t.equal(text(await askPassphrase(source)), expected)
    t.equal(text(await chooseNewPassphrase(source)), expected)
  }
  await writeFile(path, '\n')
  await t.rejects(askPassphrase(source), { code: 'PASSPHRASE', message: /empty/ })
})
