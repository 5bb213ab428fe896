/** What was kept for how long. */
import t from 'tap'
import { readableWork } from '../../bin/readable-work.ts'

t.test('little is said in a smaller unit', t => {
  t.same([0, 12.34, 0.1, 0.05, 0.00001].map(readableWork), [
    '0.0 GiB days',
    '12.3 GiB days',
    '0.1 GiB days',
    '51.2 MiB days',
    '0.0 MiB days'
  ])
  t.end()
})
