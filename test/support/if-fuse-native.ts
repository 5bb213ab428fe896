/**
 * Whether the fuse-native driver can mount here.
 *
 * @module
 */
import { accessSync, constants, existsSync } from 'node:fs'
import { createRequire } from 'node:module'

/** Options of a test that mounts with it: it is skipped, with the reason, where it cannot. */
export function ifFuseNative(): { readonly skip: string | false } {
  const skip = whyNotFuseNative()
  return { skip }
}

function whyNotFuseNative(): string | false {
  try {
    createRequire(import.meta.url).resolve('fuse-native')
  } catch {
    return 'the optional package fuse-native is not installed'
  }
  if (!existsSync('/dev/fuse')) return '/dev/fuse is missing'
  if (process.geteuid?.() !== 0)
    return existsSync('/usr/bin/fusermount') ? false : 'fusermount is missing'
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK)
  } catch {
    return '/dev/fuse may not be opened'
  }
  return false
}
