/** Two real daemons on one machine that find each other over loopback, and what tests ask them. */
import { join } from 'node:path'
import type { Test } from 'tap'
import type { ConflictsAnswer, SyncStatus } from '../../bin/api.ts'
import type { LoopbackEnvironment } from './bootstrap-process.ts'
import { GroveHome, runProgram, until } from './grove-home.ts'

/** An environment in which nobody is found. */
export const OFFLINE = { GROVE_BOOTSTRAP: '127.0.0.1:1' }

/** A drive with one device, called desk, mounted. */
export async function firstDevice(t: Test, environment: LoopbackEnvironment): Promise<GroveHome> {
  const desk = await GroveHome.initialised(t, { environment })
  await desk.mount()
  return desk
}

/** Makes an invitation. */
export async function invite(grove: GroveHome): Promise<string> {
  return ((await grove.json(['invite'])) as { readonly code: string }).code
}

/** A device, called phone, that joined the drive of another and is mounted. */
export async function nextDevice(
  t: Test,
  first: GroveHome,
  environment: LoopbackEnvironment
): Promise<GroveHome> {
  const phone = await GroveHome.make(t, { environment })
  await phone.succeed(['join', await invite(first), '--name', 'phone'])
  await phone.mount()
  return phone
}

/** What `grove conflicts` says. */
export async function conflictsOf(grove: GroveHome): Promise<ConflictsAnswer> {
  return (await grove.json(['conflicts'])) as ConflictsAnswer
}

/** What `grove sync` says. */
export async function syncStatus(grove: GroveHome): Promise<SyncStatus> {
  return (await grove.json(['sync'])) as SyncStatus
}

/** Waits until a file of the mounted folder holds a text. */
export async function reads(grove: GroveHome, name: string, text: string): Promise<void> {
  await until(
    async () => (await runProgram('cat', [join(grove.mountPoint, name)])).stdout === text,
    `${name} is "${text.slice(0, 40)}"`
  )
}

/** Waits until both folders hold the same. */
export async function equal(left: GroveHome, right: GroveHome): Promise<void> {
  const args = ['-r', left.mountPoint, right.mountPoint]
  await until(async () => (await runProgram('diff', args)).code === 0, 'both folders are equal')
}
