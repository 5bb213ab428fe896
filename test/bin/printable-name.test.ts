/** Names of files cannot play tricks on a terminal, and JSON carries them exactly. */
import t from 'tap'
import { jsonName, printableName } from '../../bin/printable-name.ts'

const latin1 = (text: string) => Buffer.from(text, 'utf8').toString('latin1')

t.test('printableName() shows UTF-8 and escapes the rest', async t => {
  for (const [bytes, shown] of [
    ['/plain.txt', '/plain.txt'],
    [latin1('/Übung – 日本'), '/Übung – 日本'],
    ['/bell\u0007\u001B[2J\n', '/bell\\x07\\x1b[2J\\x0a'],
    ['/broken\xFF\xC3', '/broken\\xff\\xc3'],
    ['/back\\slash', '/back\\\\slash'],
    [latin1('/exe\u202Etxt'), '/exe\\u202etxt'],
    [latin1('/c1\u009B'), '/c1\\x9b']
  ] as const)
    t.equal(printableName(bytes), shown)
})

t.test('jsonName() is exact', async t => {
  t.strictSame(jsonName(latin1('/Übung\n')), { path: '/Übung\n' })
  t.strictSame(jsonName('/\xFF'), { path: '/\uFFFD', pathHex: '2fff' })
})
