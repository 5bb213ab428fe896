/** What a holder is asked over its socket is checked. */
import t from 'tap'
import {
  CODE_HOURS_MAX,
  PERSON_DIGITS_MIN,
  parseHolderInviteRequest,
  parseHolderSettingsChange,
  parseNamePersonRequest
} from '../../bin/holder-api.ts'

t.test('requests that make sense are read', async t => {
  t.same(parseHolderInviteRequest('{"hours":1}'), { hours: 1 })
  t.same(parseHolderInviteRequest('{"hours":24,"spaceBytes":5}'), { hours: 24, spaceBytes: 5 })
  t.same(parseHolderInviteRequest('{"hours":1,"person":"Anna"}'), { hours: 1, person: 'Anna' })
  const id = 'a'.repeat(PERSON_DIGITS_MIN)
  for (const name of ['Anna', ''])
    t.same(parseNamePersonRequest(JSON.stringify({ id, name })), { id, name })
  t.same(parseHolderSettingsChange('{}'), {})
  const change = {
    spaceBytes: 5,
    name: 'nas',
    site: 'attic',
    labels: { a: 'b' },
    imbalance: 5,
    drive: '/d'
  }
  t.same(parseHolderSettingsChange(JSON.stringify({ ...change, other: 1 })), change)
})

t.test('others are not', async t => {
  for (const body of [
    '',
    '[]',
    'null',
    '{}',
    '{"hours":0}',
    '{"hours":1.5}',
    `{"hours":${String(CODE_HOURS_MAX + 1)}}`,
    '{"hours":1,"spaceBytes":"5"}',
    '{"hours":1,"spaceBytes":-1}',
    '{"hours":1,"spaceBytes":1e16}',
    '{"hours":1,"person":""}',
    '{"hours":1,"person":"a\\nb"}'
  ])
    t.throws(() => parseHolderInviteRequest(body), { code: 'USAGE' }, body)
  for (const body of [
    '{"id":"aaaaaaa","name":"Anna"}',
    '{"id":"AAAAAAAA","name":"Anna"}',
    `{"id":"${'a'.repeat(65)}","name":"Anna"}`,
    '{"id":"aaaaaaaa"}',
    '{"id":"aaaaaaaa","name":"\\u202e"}'
  ])
    t.throws(() => parseNamePersonRequest(body), { code: 'USAGE' }, body)
  for (const body of [
    '{"imbalance":"much"}',
    '{"drive":5}',
    '{"name":1}',
    '{"site":null}',
    '{"labels":[]}',
    '{"labels":{"a":1}}'
  ])
    t.throws(() => parseHolderSettingsChange(body), { code: 'USAGE' }, body)
})
