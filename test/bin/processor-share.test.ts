/** A daemon that nobody uses leaves the processors to others, and takes its share when it is used. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import t from 'tap'
import { ProcessorShare, QUIET_MS, QUIET_NICE } from '../../bin/processor-share.ts'
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

t.test('it is quiet while nobody uses it, and not when somebody does', async t => {
  const { clock, share, set } = shareOf()
  clock.advance(QUIET_MS - 1)
  t.strictSame(set, [])
  clock.advance(1)
  t.strictSame(set, [QUIET_NICE])
  clock.advance(100 * QUIET_MS)
  share.used()
  t.strictSame(set, [QUIET_NICE, 0], 'at once')
  for (let times = 0; times < 10; times++) {
    clock.advance(QUIET_MS / 2)
    share.used()
  }
  t.strictSame(set, [QUIET_NICE, 0], 'as long as it is used')
  clock.advance(2 * QUIET_MS)
  t.strictSame(set, [QUIET_NICE, 0, QUIET_NICE])
  share.close()
  share.close()
  t.strictSame(set, [QUIET_NICE, 0, QUIET_NICE, 0])
  clock.advance(10 * QUIET_MS)
  t.equal(set.length, 4, 'nothing after its end')
})

t.test('what the kernel does not take is tried again', async t => {
  const { clock, share, set, kernel } = shareOf()
  kernel.isWilling = false
  clock.advance(3 * QUIET_MS)
  kernel.isWilling = true
  clock.advance(QUIET_MS)
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
import { readFileSync } from 'node:fs'
import { ProcessorShare } from ${moduleOf('processor-share')}
import { SystemClock } from ${moduleOf('system-clock')}
const nice = () => readFileSync('/proc/self/autogroup', 'utf8').trim().split(' ').at(-1)
const share = ProcessorShare.ofThisSession(new SystemClock())
if (share) {
  while (nice() !== '${QUIET_NICE}') await new Promise(resolve => setTimeout(resolve, 20))
  while (nice() !== '0') { share.used(); await new Promise(resolve => setTimeout(resolve, 20)) }
  share.close()
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
