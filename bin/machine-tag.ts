/**
 * Which machine this is, as a tag that says nothing else about it: keepers that state the same tag
 * run on one machine, and two copies on one machine are one copy.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { asciiBytes } from '../src/crypto/derive.ts'
import { MACHINE_TAG_BYTES } from '../src/crypto/receipt.ts'
import { HASH_BYTES, keyedBlake2b } from '../src/crypto/sodium.ts'
import type { Environment } from './home.ts'

/** Where systems keep an id of their own, made at installation. */
const MACHINE_ID_FILES = ['/etc/machine-id', '/var/lib/dbus/machine-id'] as const

const LABEL = asciiBytes('grove/machine/1')

/**
 * Makes the tag of this machine.
 *
 * @param environment - `GROVE_MACHINE` stands in for the machine's id, in containers
 * @param own - stands in for it on a machine without one: then every keeper is a machine
 */
export async function machineTag(environment: Environment, own: Uint8Array): Promise<Uint8Array> {
  const named = environment['GROVE_MACHINE']
  const isNamed = named !== undefined && named !== ''
  const message = isNamed ? Buffer.from(named) : ((await machineId()) ?? own)
  const key = Buffer.alloc(HASH_BYTES)
  key.set(LABEL)
  return keyedBlake2b({ key, message, bytes: MACHINE_TAG_BYTES })
}

async function machineId(): Promise<Uint8Array | undefined> {
  for (const path of MACHINE_ID_FILES) {
    const id = (await readFile(path, 'latin1').catch(() => '')).trim()
    if (id !== '') return Buffer.from(id)
  }
  return undefined
}
