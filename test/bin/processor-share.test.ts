/** A daemon with long work leaves the processors to others while nobody uses its files. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import t from 'tap'
import { LONG_STEPS, LOOK_MS, ProcessorShare, QUIET_NICE } from '../../bin/processor-share.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

function shareOf(): {
  readonly clock: VirtualClock
  readonly share: ProcessorShare
  readonly set: number[]
  readonly kernel: { isWilling: boolean }
} {
  const clock = new VirtualClock()
  const set: number[] = []
  const kernel = { isWilling: true }
  const setNice = (nice: number): boolean => {
    if (kernel.isWilling) set.push(nice)
    return kernel.isWilling
  }
  return { clock, share: new ProcessorShare({ clock, setNice }), set, kernel }
}

t.test('it is quiet while it has long work and nobody uses it', async t => {
  const { clock, share, set } = shareOf()
  const works = (looks: number, isUsed = false): void => {
    for (let step = 0; step < looks * LONG_STEPS * 2; step++) {
      share.stepped()
      if (isUsed) share.used()
      clock.advance(LOOK_MS / LONG_STEPS / 2)
    }
  }
  clock.advance(100 * LOOK_MS)
  t.strictSame(set, [], 'nothing to do')
  for (let step = 0; step < 20; step++) {
    share.stepped()
    clock.advance(2 * LOOK_MS)
  }
  t.strictSame(set, [], 'a step now and then is no long work')
  works(3)
  t.strictSame(set, [QUIET_NICE])
  share.used()
  t.strictSame(set, [QUIET_NICE, 0], 'at once')
  works(5, true)
  t.strictSame(set, [QUIET_NICE, 0], 'as long as it is used')
  works(3)
  t.strictSame(set, [QUIET_NICE, 0, QUIET_NICE])
  clock.advance(2 * LOOK_MS)
  t.strictSame(set, [QUIET_NICE, 0, QUIET_NICE, 0], 'the work is done')
  works(3)
  share.close()
  share.close()
  works(3)
  t.strictSame(set, [QUIET_NICE, 0, QUIET_NICE, 0, QUIET_NICE, 0], 'nothing after its end')
})

t.test('what the kernel does not take is tried again', async t => {
  const { clock, share, set, kernel } = shareOf()
  kernel.isWilling = false
  const works = (): void => {
    for (let step = 0; step < 4 * LONG_STEPS; step++) {
      share.stepped()
      clock.advance(LOOK_MS / LONG_STEPS / 2)
    }
  }
  works()
  t.strictSame(set, [])
  kernel.isWilling = true
  works()
  t.strictSame(set, [QUIET_NICE])
  kernel.isWilling = false
  share.used()
  kernel.isWilling = true
  share.used()
  t.strictSame(set, [QUIET_NICE, 0])
  share.close()
})

function moduleOf(name: string): string {
  return JSON.stringify(new URL(`../../bin/${name}.ts`, import.meta.url).href)
}

const SCRIPT = `
import { readFileSync, writeFileSync } from 'node:fs'
import { ProcessorShare } from ${moduleOf('processor-share')}
import { SystemClock } from ${moduleOf('system-clock')}
const nice = () => readFileSync('/proc/self/autogroup', 'utf8').trim().split(' ').at(-1)
const share = ProcessorShare.ofThisSession(new SystemClock())
if (share) {
  while (nice() !== '${QUIET_NICE}') {
    share.stepped()
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  while (nice() !== '0') { share.used(); await new Promise(resolve => setTimeout(resolve, 20)) }
  while (nice() !== '5') {
    try { writeFileSync('/proc/self/autogroup', '5') } catch {}
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  const until = performance.now() + ${3 * LOOK_MS}
  while (performance.now() < until) {
    share.stepped()
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  share.close()
  if (nice() !== '5') throw new Error('what somebody else set is gone')
}
console.log(share === undefined ? 'none' : 'both')
`

for (const isLeader of [true, false]) {
  const where = isLeader ? 'of its own' : 'of another process'
  const skip = existsSync('/proc/self/autogroup') ? false : 'this kernel has no autogroups'
  t.test(`a process in a session ${where}`, { skip }, async t => {
    const args = [...process.execArgv, '--input-type=module', '-e', SCRIPT]
    const child = spawn(process.execPath, args, {
      detached: isLeader,
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 20_000
    })
    let said = ''
    child.stdout.on('data', chunk => (said += String(chunk)))
    await once(child, 'close')
    t.equal(said.trim(), isLeader ? 'both' : 'none')
  })
}
