/**
 * What must hold of an index at every moment, whatever happened to it: its rows agree with one
 * another, and counts with a count made anew.
 *
 * @module
 */
import type { InodeRecord } from '../../src/sync/inode-record.ts'
import { sameId } from '../../src/sync/operation-id.ts'
import { REGION_BYTES } from '../../src/sync/region.ts'
import { ROOT_INO, type TreeIndex } from '../../src/sync/tree-index.ts'

const EVERYTHING = Number.MAX_SAFE_INTEGER

/** @returns what is wrong, in no particular order; nothing when all is well */
export function problemsOfIndex(index: TreeIndex): string[] {
  index.settle()
  const records = [...index.inodes.between(0, EVERYTHING).values()].flatMap(rows => [
    ...rows.values()
  ])
  return [
    ...records.flatMap(record => [
      ...problemsOfLinks(index, record),
      ...problemsOfDirectory(index, record),
      ...problemsOfContent(index, record)
    ]),
    ...problemsOfReach(index, records),
    ...problemsOfUse(index, records)
  ]
}

/** Throws when {@link problemsOfIndex} finds something. */
export function checkIndex(index: TreeIndex): void {
  const problems = problemsOfIndex(index)
  if (problems.length > 0) throw new Error(`the index: ${problems.join('; ')}`)
}

function problemsOfLinks(index: TreeIndex, record: InodeRecord): string[] {
  const problems: string[] = []
  const { ino, links, kind } = record
  if (kind !== 'directory' && links.length > 0 && index.find(record.id) !== ino) {
    problems.push(`inode ${ino} is not found by its identity`)
  }
  for (const { id, parent, name } of links) {
    const at = `${parent}/${JSON.stringify(name)}`
    const claims = index.names.get(parent, name)?.claims ?? []
    const own = claims.filter(claim => claim.ino === ino && sameId(claim.link, id))
    if (own.length !== 1) problems.push(`${at} is claimed ${own.length} times by ${ino}`)
    if (own.some(claim => claim.kind !== kind)) problems.push(`${at} is listed as another kind`)
    if (index.inodes.get(parent)?.kind !== 'directory') problems.push(`${at} is in no directory`)
    if (links.filter(other => sameId(other.id, id)).length > 1) problems.push(`${at}: twice`)
  }
  if (index.xattrs.entries(ino).size !== record.xattrs) problems.push(`xattr count of ${ino}`)
  const isNameless = links.length === 0 && kind !== 'directory'
  if ((index.orphans.get(ino) !== undefined) !== isNameless) problems.push(`${ino} as an orphan`)
  return problems
}

function problemsOfDirectory(index: TreeIndex, { ino, ...record }: InodeRecord): string[] {
  const claims = [...index.names.entries(ino).values()].flatMap(row =>
    row.claims.map(claim => ({ ...claim, name: row.name }))
  )
  const problems = claims.flatMap(({ name, link, ino: child }) => {
    const links = index.inodes.get(child)?.links ?? []
    const isLink = links.some(
      each => each.parent === ino && each.name === name && sameId(each.id, link)
    )
    return isLink ? [] : [`${ino}/${JSON.stringify(name)} is no link of ${child}`]
  })
  if (record.kind !== 'directory') return claims.length > 0 ? [`${ino} holds names`] : []
  const directories = claims.filter(claim => claim.kind === 'directory').length
  if (claims.length !== record.children) problems.push(`children of ${ino}: ${record.children}`)
  if (directories !== record.subdirectories) problems.push(`subdirectories of ${ino}`)
  return [...problems, ...problemsOfShown(index, ino)]
}

/** The counts of a directory as it is shown are those of what it lists. */
function problemsOfShown(index: TreeIndex, ino: number): string[] {
  const { children, subdirectories } = index.inode(ino)
  const listed = [...index.list(ino).values()]
  const directories = listed.filter(({ kind }) => kind === 'directory').length
  const isRight = listed.length === children && directories === subdirectories
  return isRight ? [] : [`${ino} shows ${listed.length} names and counts ${children}`]
}

function problemsOfContent(index: TreeIndex, record: InodeRecord): string[] {
  const problems: string[] = []
  let [end, allocated] = [0, 0]
  for (const run of index.content.everyRun(record.ino)) {
    const region = Math.floor(run.offset / REGION_BYTES)
    const last = run.offset + run.length - 1
    if (run.length < 1 || run.offset < end) problems.push(`runs of ${record.ino} at ${run.offset}`)
    if (Math.floor(last / REGION_BYTES) !== region) problems.push('a run reaches over its region')
    end = last + 1
    allocated += run.length
  }
  if (end > record.size) problems.push(`${record.ino} has ${end} bytes, its size is ${record.size}`)
  if (allocated !== record.allocated) problems.push(`allocated bytes of ${record.ino}`)
  return problems
}

/** Everything hangs on the root, directories without a name excepted. */
function problemsOfReach(index: TreeIndex, records: readonly InodeRecord[]): string[] {
  const reached = new Set<number>()
  const pending = [ROOT_INO, ...records.filter(isTop).map(({ ino }) => ino)]
  for (let ino = pending.pop(); ino !== undefined; ino = pending.pop()) {
    if (reached.has(ino)) continue
    reached.add(ino)
    for (const { claims } of index.names.entries(ino).values()) {
      for (const claim of claims) pending.push(claim.ino)
    }
  }
  return records.filter(({ ino }) => !reached.has(ino)).map(({ ino }) => `${ino} cannot be reached`)
}

function isTop(record: InodeRecord): boolean {
  return record.links.length === 0
}

/** Counts of uses equal a count made anew; what is used no more has its row among the superseded. */
function problemsOfUse(index: TreeIndex, records: readonly InodeRecord[]): string[] {
  const counts = new Map<string, number>()
  for (const { ino } of records) {
    for (const run of index.content.everyRun(ino)) {
      if (run.kind !== 'block') continue
      const key = `${run.log}/${run.index}`
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
  }
  const problems: string[] = []
  for (const [key, count] of counts) {
    const [log = 0, at = 0] = key.split('/').map(Number)
    const kept = index.content.useCount({ log, index: at })
    if (kept !== count) problems.push(`block ${key} is used ${count} times and counts ${kept}`)
  }
  for (const { log, index: at } of index.content.supersededBefore(EVERYTHING, EVERYTHING)) {
    const kept = index.content.useCount({ log, index: at })
    const count = counts.get(`${log}/${at}`) ?? 0
    if (kept !== count) problems.push(`superseded block ${log}/${at} counts ${kept}, not ${count}`)
  }
  return problems
}
