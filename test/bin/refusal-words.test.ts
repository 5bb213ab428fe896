/** Why a holder does not do what it was asked to. */
import t from 'tap'
import { refusalWords } from '../../bin/refusal-words.ts'
import { PAUSE_MS } from '../../src/replication/keeper-roster.ts'

t.test('every reason to leave a holder alone has words', t => {
  for (const code of Object.keys(PAUSE_MS)) t.match(refusalWords(code), / .* /, code)
  t.equal(refusalWords('IO'), 'IO')
  t.equal(refusalWords('toString'), 'toString')
  t.end()
})
