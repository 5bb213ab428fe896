/**
 * A writer fsyncs and keeps a manifest; the daemon is killed in mid-stream, again and again.
 * After each restart every entry of the manifest, also of earlier rounds, is there byte for byte.
 *
 * GROVE_CRASH_ROUNDS says how many rounds: 5 by default, 50 in the long run (npm run crash).
 */
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import t from 'tap'
import { GroveHome } from '../bin/grove-home.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { brokenPromises, startWriter } from './crash-clients.ts'

const ROUNDS = Number(process.env['GROVE_CRASH_ROUNDS'] ?? 5)
const WRITING_MS_MIN = 100
const WRITING_MS_SPREAD = 900

t.setTimeout(3_600_000)

const hasFuse = await access('/dev/fuse', constants.R_OK | constants.W_OK).then(
  () => true,
  () => false
)
const options = hasFuse ? {} : { skip: '/dev/fuse is missing or may not be opened' }

/** Writes until the daemon is killed. @returns the lines of what was fsynced */
async function writeUntilKilled(
  home: GroveHome,
  pid: number,
  round: number,
  writingMs: number
): Promise<string[]> {
  const { child, promises } = await startWriter(home.mountPoint, round)
  await new Promise(wake => setTimeout(wake, writingMs))
  if (child.exitCode !== null) throw new Error('the writer ended before the daemon was killed')
  await home.kill(pid)
  return promises()
}

t.test(`nothing fsynced is lost by kill -9, ${ROUNDS} rounds`, options, async t => {
  const home = await GroveHome.initialised(t)
  const random = new SeededRandom(ROUNDS)
  const promised: string[] = []
  let pid = await home.mount()
  for (let round = 1; round <= ROUNDS; round++) {
    const writingMs = WRITING_MS_MIN + random.integer(WRITING_MS_SPREAD)
    const lines = await writeUntilKilled(home, pid, round, writingMs)
    t.ok(lines.length > 0, `round ${round}: ${lines.length} files were fsynced`)
    promised.push(...lines)
    const next = await home.mount()
    t.not(next, pid, 'another process serves the drive')
    pid = next
    t.equal(
      await brokenPromises(home.mountPoint, promised),
      '',
      `round ${round}: all ${promised.length} are there`
    )
  }
  const verified = await home.run(['verify'])
  t.equal(verified.code, 0, verified.stdout + verified.stderr)
})
