/**
 * What must hold of devices, at every moment or when all is quiet: the tree that a device shows is
 * the one that the oracle makes of what it merged; nothing that was promised is gone; nothing
 * was lost that nobody saw; all devices show the same.
 *
 * @module
 */
import { FsError } from '../../src/fs/fs-error.ts'
import type { LogKey } from '../../src/sync/log.ts'
import type { Operation } from '../../src/sync/operation.ts'
import { problemsOfIndex } from '../support/check-index.ts'
import { dumpIndex } from '../support/index-tree.ts'
import { problemsOf, type History } from '../support/model-check.ts'
import { listAll } from '../support/model-command.ts'
import { versionsOf, type Witness } from '../support/model-device.ts'
import { deliver, keyOf, type ModelOperation } from '../support/model-entry.ts'
import { dump, treeOf, type ModelEntry, type ModelTree, type Mutation } from '../support/model.ts'
import { mergedEntries } from './merged-entries.ts'
import { listTree } from './random-action.ts'
import { numbersIn, type SimulatedDevice } from './simulated-device.ts'

/** How much of two dumps is shown where they part, in lines. */
const CONTEXT_LINES = 3

/** @returns how what a device shows differs from the oracle's tree of what it merged */
export async function problemsOfView(
  device: SimulatedDevice,
  mutation?: Mutation
): Promise<string[]> {
  const { index } = device.drive.replica
  // In one tick: what is merged or executed while the logs are read must not count.
  const [shown, entriesRead] = [dumpIndex(index), mergedEntries(device)]
  const problems = problemsOfIndex(index).map(text => `index: ${text}`)
  const expected = dump(treeOf(await entriesRead, mutation === undefined ? {} : { mutation }))
  if (shown !== expected) problems.push(`not the oracle's tree:\n${difference(shown, expected)}`)
  return problems.map(text => `${device.name}: ${text}`)
}

/** @returns what a device promised to keep and does not have */
export async function problemsOfPromises(
  device: SimulatedDevice,
  holder: SimulatedDevice
): Promise<string[]> {
  const merged = new Map<string, Operation>()
  for (const { log, index, operations } of await mergedEntries(holder)) {
    for (const [number, operation] of operations.entries()) {
      merged.set(keyOf({ log, index, number }), operation)
    }
  }
  return [...device.acknowledged].flatMap(([key, { operation, survives }]) => {
    const found = merged.get(key)
    if (found?.type === operation.type) return []
    return [`${holder.name}: ${device.name} promised ${key} against ${survives}; it is gone`]
  })
}

/** @returns entries that say that their author had merged more or less than when it executed them */
export async function problemsOfHeads({
  name,
  drive,
  executed
}: SimulatedDevice): Promise<string[]> {
  const log = drive.operationKey
  const merged = new Map<LogKey, number>()
  const said: string[] = []
  for (const { heads } of await drive.entries(log)) {
    for (const head of heads) merged.set(head.log, head.length)
    said.push(textOfHeads(merged, log))
  }
  return executed.flatMap(({ id, heads }) => {
    const entry = said[id.index]
    const saw = textOfHeads(heads, log)
    const isRight = id.log !== log || entry === undefined || entry === saw
    return isRight ? [] : [`${name}: ${keyOf(id)} saw ${saw}, but its entry says ${entry}`]
  })
}

/** @returns writes of which the author could have seen other things than the program that wrote */
export function problemsOfWrites({ name, drive, executed, written }: SimulatedDevice): string[] {
  return executed.flatMap(({ id, operation, heads }) => {
    const pieces = operation.type === 'write' ? operation.pieces : []
    const numbers = pieces.flatMap(piece =>
      piece.kind === 'inline' ? numbersIn(piece.bytes).filter(number => written.has(number)) : []
    )
    // A small file may be recorded whole, with what was written before.
    const newest = Math.max(...numbers)
    const then = written.get(newest)
    if (!then) return []
    const [said, saw] = [heads, then].map(each => textOfHeads(each, drive.operationKey))
    return said === saw ? [] : [`${name}: <${newest}> in ${keyOf(id)} saw ${saw}, not ${said}`]
  })
}

function textOfHeads(heads: ReadonlyMap<LogKey, number>, own: LogKey): string {
  const others = [...heads].filter(([log, length]) => log !== own && length > 0)
  return others
    .map(([log, length]) => `${log.slice(0, 8)} ${length}`)
    .toSorted()
    .join(', ')
}

/** @returns blocks that a device promised to keep and that nobody has */
export function problemsOfBlocks(
  device: SimulatedDevice,
  all: readonly SimulatedDevice[]
): string[] {
  const pieces = [...device.acknowledged.values()].flatMap(({ operation, survives }) =>
    operation.type === 'write' && survives === 'power' ? operation.pieces : []
  )
  return pieces.flatMap(piece => {
    if (piece.kind !== 'block') return []
    const { log, index } = piece
    if (all.some(({ drive }) => drive.home.stores(log, index))) return []
    return [`${device.name} promised block ${log}:${index}; nobody has it`]
  })
}

/** @returns what is wrong with an outcome, whatever the rules in detail */
export function problemsOfOutcome(entries: readonly ModelEntry[]): string[] {
  return problemsOf(historyOf(entries), treeOf(entries))
}

/** @returns the bytes of every file that a device shows, by path; left out what nobody has */
export async function contentsOf(device: SimulatedDevice): Promise<Map<string, string>> {
  const { session } = device
  const files = listTree(session).filter(
    ({ path, isDirectory }) => !isDirectory && (session.stat(path).mode & 0o170000) === 0o100000
  )
  // All at once: what nobody has takes its deadline each, and there may be many.
  const reads = files.map(async ({ path }) => [path, await readOf(device, path)] as const)
  const contents = new Map<string, string>()
  for (const [path, content] of await Promise.all(reads)) {
    if (content !== undefined) contents.set(path, content)
  }
  return contents
}

/** @returns a file's bytes; undefined when a loss of power took some that were not synced */
async function readOf(device: SimulatedDevice, path: string): Promise<string | undefined> {
  try {
    return Buffer.from(await device.session.readFile(path)).toString('base64')
  } catch (error) {
    if (error instanceof FsError && error.code === 'EHOSTUNREACH') return undefined
    throw error
  }
}

/** What the authors of operations saw, made anew from what each entry had seen. */
function historyOf(entries: readonly ModelEntry[]): History {
  const delivered = deliver(entries)
  const witnesses = new Map<string, Witness>()
  const byEntry = new Map<ModelEntry, ModelOperation[]>()
  for (const made of delivered) byEntry.set(made.entry, [...(byEntry.get(made.entry) ?? []), made])
  for (const [entry, made] of byEntry) {
    const [first] = made
    if (!first) continue
    const seen = entries.filter(({ log, index }) => (first.seen.get(log) ?? 0) > index)
    for (const witness of witnessesOf(entry, made, seen)) {
      witnesses.set(keyOf(witness.id), witness)
    }
  }
  return { entries, witnesses }
}

const MAY_END: ReadonlySet<string> = new Set(['link', 'unlink', 'rmdir', 'rename', 'exchange'])

function* witnessesOf(
  entry: ModelEntry,
  made: readonly ModelOperation[],
  seen: readonly ModelEntry[]
): Iterable<Witness> {
  const treeBefore = (number: number): ModelTree =>
    treeOf([...seen, { ...entry, operations: entry.operations.slice(0, number) }])
  for (const { id, key, operation } of made) {
    if (operation.type === 'create') {
      yield { id, ended: [], given: [{ name: operation.name, version: key }] }
    }
    if (!MAY_END.has(operation.type)) continue
    const before = treeBefore(id.number)
    const after = versionsOf(treeBefore(id.number + 1))
    const ended = [...versionsOf(before)].filter(version => !after.has(version))
    yield { id, ended, given: givenBy(operation, before) }
  }
}

/** The names that an operation gives to files, and the versions it gives them to. */
function givenBy(operation: Operation, tree: ModelTree): Witness['given'] {
  const versionAt = (link: string | undefined): string[] => {
    const found = listAll(tree).find(({ child }) => child.links.some(id => keyOf(id) === link))
    const version = found?.child.node.version
    return version ? [keyOf(version)] : []
  }
  const give = (name: Witness['given'][number]['name'], links: readonly string[]) =>
    versionAt(links[0]).map(version => ({ name, version }))
  switch (operation.type) {
    case 'link':
      return give(operation.name, [keyOf(operation.through)])
    case 'rename':
      return give(operation.name, operation.links.map(keyOf))
    case 'exchange':
      return [
        ...give(operation.second.name, operation.links.map(keyOf)),
        ...give(operation.first.name, operation.others.map(keyOf))
      ]
    default:
      return []
  }
}

/** Where two texts part, with what leads there. */
export function difference(shown: string, expected: string): string {
  const [left, right] = [shown.split('\n'), expected.split('\n')]
  const at = left.findIndex((line, number) => line !== right[number])
  const from = Math.max(0, at - CONTEXT_LINES)
  const to = at + CONTEXT_LINES
  return [
    ...left.slice(from, at).map(line => `  ${line}`),
    ...left.slice(at, to).map(line => `- ${line}`),
    ...right.slice(at, to).map(line => `+ ${line}`)
  ].join('\n')
}
