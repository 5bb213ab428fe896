/** `grove recover`: what it asks, what it says, and what it refuses to do unasked. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import t, { type Test } from 'tap'
import type { Context, Input } from '../../bin/command.ts'
import { WAIT_SEC_MAX, recoverCommand } from '../../bin/commands/recover.ts'
import { createDrive } from '../../bin/create-drive.ts'
import { Home } from '../../bin/home.ts'
import { isRecoveryComplete } from '../../bin/recovery-state.ts'
import { seedOfWords } from '../../src/crypto/recovery-words.ts'
import { RecoveryStage, wipe } from '../support/recovery-stage.ts'
import { temporaryFolder } from './temporary-folder.ts'

interface Run {
  readonly home: string
  /** What is piped in, or typed when `answers` are given. */
  readonly words: string
  /** What the person types after the words; on a terminal then. */
  readonly answers?: readonly string[]
  readonly options?: readonly string[]
  readonly json?: boolean
}

/** A drive that is lost, with two holders, and the command. */
async function lostDrive(t: Test) {
  const folder = await temporaryFolder(t)
  const stage = await RecoveryStage.open(t, folder, 2)
  const home = await Home.locate({ GROVE_HOME: join(folder, 'desk') })
  const { words, content } = await createDrive({ home, deviceName: 'desk', passphrase: undefined })
  await stage.giveAway(home, content)
  await wipe(home)
  const { host, port } = stage.fabric.bootstrap
  const run = async (asked: Run) => {
    const { answers, options = [], json = false } = asked
    const [out, error]: [string[], string[]] = [[], []]
    const stdin = Object.assign(new PassThrough(), {
      isTTY: answers !== undefined,
      setRawMode: () => undefined
    })
    const waiting = [`${asked.words}\n`, ...(answers ?? []).map(answer => `${answer}\n`)]
    const context: Context = {
      environment: {
        GROVE_HOME: join(folder, asked.home),
        GROVE_BOOTSTRAP: `${host}:${port}`,
        GROVE_LISTEN: '127.0.0.1'
      },
      stdout: {
        write: (piece, done) => {
          out.push(String(piece))
          done?.()
        }
      },
      stderr: {
        write: piece => {
          error.push(String(piece))
          // A prompt ends with a space; then the person types.
          if (answers !== undefined && String(piece).endsWith(' '))
            stdin.write(waiting.shift() ?? '')
        }
      },
      stdin,
      json,
      signal: new AbortController().signal
    }
    if (answers === undefined) stdin.end(asked.words)
    const input: Input = {
      positional: [],
      options: new Map<string, string | true>([
        ['wait', '3'],
        ...options.map(option => [option, true] as const)
      ])
    }
    const code = await recoverCommand.run(context, input)
    return { code, out: out.join(''), error: error.join('') }
  }
  const homeOf = (name: string) => Home.locate({ GROVE_HOME: join(folder, name) })
  return { folder, stage, words, run, homeOf }
}

t.test('words are piped in, and the result is for programs', async t => {
  const { run, words } = await lostDrive(t)
  const { out, error } = await run({ home: 'new', words, json: true })
  t.match(JSON.parse(out), {
    answered: 2,
    complete: true,
    missingEntries: 0,
    revoked: [],
    holders: [{ answer: 'answered' }, { answer: 'answered' }]
  })
  t.match(error, /^2 of 2 holders answered, the newest state is of 20\d\d-\d\d-\d\dT.*Z\n$/)
  await t.rejects(run({ home: 'new', words }), { code: 'ALREADY_INITIALISED' })
})

t.test('a person is asked about the other devices, and nothing secret is shown', async t => {
  const { run, words } = await lostDrive(t)
  const { out, error } = await run({ home: 'new', words, answers: ['what', 'Lost'] })
  t.match(error, 'desk')
  t.match(out, 'Put out: desk')
  t.notMatch(`${out}${error}`, words.split(' ').slice(0, 3).join(' '))
})

t.test('with a holder off, a program has to say that it goes on', async t => {
  const { folder, stage, run, words, homeOf } = await lostDrive(t)
  await stage.holders[0]?.close()
  await t.rejects(run({ home: 'new', words, json: true }), {
    code: 'FAILED',
    message: /1 of 2 holders answered.*--accept-incomplete/
  })
  await t.rejects(run({ home: 'new', words, answers: ['n'] }), { code: 'FAILED' })
  t.notOk(existsSync(join(folder, 'new')))
  const { out } = await run({ home: 'new', words, options: ['accept-incomplete'] })
  t.match(out, 'Until the other holders have answered')
  const home = await homeOf('new')
  t.notOk(await isRecoveryComplete(home))
  const later = await run({ home: 'new', words: '', options: ['accept-incomplete'] })
  t.match(later.out, '1 holder waited for no longer')
  t.ok(await isRecoveryComplete(home))
})

/** The words in a wrong order; of 256 wrong orders one has a checksum that fits by chance. */
async function misplaced(words: string): Promise<string> {
  const list = words.split(' ')
  for (let at = 1; at < list.length; at++) {
    const moved = [...list.slice(at), ...list.slice(0, at)].join(' ')
    const isRefused = await seedOfWords(moved).then(
      () => false,
      () => true
    )
    if (isRefused) return moved
  }
  throw new Error('every order has a checksum that fits')
}

t.test('what makes no sense is refused before anything is asked of anybody', async t => {
  const { folder, run, words } = await lostDrive(t)
  await t.rejects(run({ home: 'new', words, options: ['lost', 'stolen'] }), { code: 'USAGE' })
  await t.rejects(run({ home: 'new', words: 'one two' }), { code: 'FAILED' })
  await t.rejects(run({ home: 'new', words: await misplaced(words) }), { code: 'BAD_WORDS' })
  t.notOk(existsSync(join(folder, 'new')))
})

t.test('how long to wait is a number of seconds', async t => {
  const folder = await temporaryFolder(t)
  const context = {
    environment: { GROVE_HOME: join(folder, 'new') },
    signal: new AbortController().signal
  } as unknown as Context
  for (const wait of ['0', 'x', '', '1.5', String(WAIT_SEC_MAX + 1)]) {
    const input = { positional: [], options: new Map([['wait', wait]]) }
    await t.rejects(recoverCommand.run(context, input), { code: 'USAGE' }, wait)
  }
})
