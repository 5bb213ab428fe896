/** Sizes in decimal and binary units; everything else is refused. */
import t from 'tap'
import { SIZE_BYTES_MAX, parseSize } from '../../bin/parse-size.ts'

t.test('parseSize() takes a number and a unit', async t => {
  for (const [text, bytes] of [
    ['0', 0],
    ['0GB', 0],
    ['1B', 1],
    ['1kB', 1_000],
    ['50GB', 50_000_000_000],
    ['50gb', 50_000_000_000],
    ['50 GB', 50_000_000_000],
    ['500MiB', 524_288_000],
    ['1.5TB', 1_500_000_000_000],
    ['1.5KiB', 1_536],
    ['0.0001kB', 0],
    ['1000TB', SIZE_BYTES_MAX]
  ] as const)
    t.equal(parseSize(text), bytes, text)
})

t.test('parseSize() refuses what is no size', async t => {
  for (const text of [
    '',
    'GB',
    '50',
    '50G',
    '-1GB',
    '+1GB',
    '1,5TB',
    '.5TB',
    '5.GB',
    '1e3GB',
    '0x1GB',
    '1ib',
    '1GBs',
    ' 1GB',
    '1GB ',
    '1  GB',
    '1001TB',
    '99999999999999999999B',
    'Infinity',
    '1GB\n'
  ])
    t.throws(() => parseSize(text), { code: 'USAGE', message: /50GB/ }, text)
})
