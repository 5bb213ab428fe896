/**
 * Parsers of the requests a daemon gets. What arrives over a socket is checked, not trusted.
 *
 * @module
 */
import { isAbsolute } from 'node:path'
import {
  DRIVER_CHOICES,
  type MountRequest,
  type SettingRequest,
  type UnmountRequest
} from './api.ts'
import { GroveError } from './grove-error.ts'

/** @throws {GroveError} `USAGE` */
export function parseMountRequest(body: string): MountRequest {
  const value = parseObject(body)
  const driver = DRIVER_CHOICES.find(choice => choice === value['driver'])
  if (driver === undefined) throw malformed('driver')
  return {
    directory: absolutePath(value['directory']),
    driver,
    readOnly: flag(value, 'readOnly'),
    allowOther: flag(value, 'allowOther')
  }
}

/** @throws {GroveError} `USAGE` */
export function parseUnmountRequest(body: string): UnmountRequest {
  const value = parseObject(body)
  const lazy = flag(value, 'lazy')
  if (value['directory'] === undefined) return { lazy }
  return { lazy, directory: absolutePath(value['directory']) }
}

/** @throws {GroveError} `USAGE` */
export function parseSettingRequest(body: string): SettingRequest {
  const { name, value } = parseObject(body)
  if (typeof name !== 'string' || typeof value !== 'string') throw malformed('setting')
  return { name, value }
}

function parseObject(body: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    throw malformed('JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed('JSON')
  return value as Record<string, unknown>
}

function absolutePath(value: unknown): string {
  if (typeof value === 'string' && isAbsolute(value) && !value.includes('\0')) return value
  throw malformed('directory')
}

function flag(value: Readonly<Record<string, unknown>>, name: string): boolean {
  const set = value[name]
  if (typeof set !== 'boolean') throw malformed(name)
  return set
}

function malformed(what: string): GroveError {
  return new GroveError('USAGE', `malformed request: ${what}`)
}
