/** The network's variables are taken as they are meant, or refused with one line that helps. */
import t from 'tap'
import {
  BOOTSTRAP_NODES_MAX,
  parsePort,
  readNetworkOptions
} from '../../bin/network-environment.ts'

t.test('readNetworkOptions() takes addresses and names', async t => {
  t.strictSame(readNetworkOptions({}), {})
  t.strictSame(readNetworkOptions({ GROVE_BOOTSTRAP: '', GROVE_LISTEN: '' }), {})
  t.strictSame(readNetworkOptions({ GROVE_BOOTSTRAP: '192.168.1.5:49737' }), {
    bootstrap: [{ host: '192.168.1.5', port: 49_737 }]
  })
  t.strictSame(
    readNetworkOptions({
      GROVE_BOOTSTRAP: 'node-1.example.org:1, 127.0.0.1:65535',
      GROVE_LISTEN: '127.0.0.1'
    }),
    {
      bootstrap: [
        { host: 'node-1.example.org', port: 1 },
        { host: '127.0.0.1', port: 65_535 }
      ],
      listenHost: '127.0.0.1'
    }
  )
})

t.test('readNetworkOptions() refuses the rest, naming the variable', async t => {
  const many = Array.from({ length: BOOTSTRAP_NODES_MAX + 1 }, () => '10.0.0.1:1').join(',')
  for (const text of [
    'localhost',
    ':49737',
    'localhost:',
    'localhost:0',
    'localhost:65536',
    '1.2.3:5',
    '1.2.3.400:5',
    'a b:5',
    '-a:5',
    '[::1]:5',
    'x:1,',
    `${'a'.repeat(300)}:5`,
    many
  ])
    t.throws(
      () => readNetworkOptions({ GROVE_BOOTSTRAP: text }),
      { code: 'USAGE', message: /^GROVE_BOOTSTRAP [^\n]+$/ },
      text.slice(0, 40)
    )
  for (const text of ['localhost', '::1', '1.2.3', '127.0.0.1:5'])
    t.throws(
      () => readNetworkOptions({ GROVE_LISTEN: text }),
      { code: 'USAGE', message: /^GROVE_LISTEN [^\n]+$/ },
      text
    )
})

t.test('parsePort() takes 1 to 65535', async t => {
  t.equal(parsePort('1'), 1)
  t.equal(parsePort('65535'), 65_535)
  for (const text of ['', '0', '65536', '-1', '1.5', '1e3', 'port'])
    t.throws(() => parsePort(text), { code: 'USAGE' }, text)
})
