/**
 * What of a drive survives the loss of what, in words.
 *
 * @module
 */
import type { SurvivalStatus, WeakFile } from './custody-api.ts'
import { counted } from './describe-redundancy.ts'
import { printableJsonName } from './printable-name.ts'
import { readableSize } from './readable-size.ts'

/** How many files at risk are named. */
export const WEAKEST_SHOWN = 5
/** How many directories with a level of their own are named. */
export const DIRECTORIES_SHOWN = 10

const INDENT = ' '.repeat(9)

/** Lines for a terminal, as `grove status` lays them out. */
export function describeSurvival(survival: SurvivalStatus): readonly string[] {
  const { repairing, lostBytes } = survival
  return [
    `safety   ${everything(survival)}`,
    ...directories(survival),
    ...atRisk(survival),
    ...(repairing.files === 0
      ? []
      : [`copying  ${files(repairing)} with fewer copies than wished`]),
    ...(lostBytes === 0 ? [] : [`lost     ${readableSize(lostBytes)}: no copy is known anywhere`])
  ]
}

function everything({ computers, sites, people }: SurvivalStatus): string {
  const losses = [
    { count: computers, any: anyOf(computers, 'computer', 'computers'), one: 'of one computer' },
    { count: sites, any: anyOf(sites, 'site', 'sites'), one: 'of a whole site' },
    {
      count: people,
      any: `${anyOf(people, 'person', 'people')}'s computers`,
      one: "of one person's computers"
    }
  ]
  const survived = losses.filter(({ count }) => count > 0).map(({ any }) => any)
  const not = losses.filter(({ count }) => count === 0).map(({ one }) => one)
  if (survived.length === 0) return `not everything survives the loss ${not.join(', or ')}`
  const but = not.length === 0 ? '' : `; not the loss ${not.join(', or ')}`
  return `everything survives the loss of ${survived.join(', or of ')}${but}`
}

function anyOf(count: number, one: string, many: string): string {
  return `any ${counted(count, one, many)}`
}

function directories(survival: SurvivalStatus): readonly string[] {
  const shown = survival.directories.slice(0, DIRECTORIES_SHOWN).map(each => {
    const { computers } = each
    const loss = computers === 0 ? 'not of one' : `of ${anyOf(computers, 'computer', 'computers')}`
    return `${INDENT}${printableJsonName(each)} ${loss}`
  })
  return [...shown, ...more(survival.directories.length - shown.length)]
}

/** The weakest come first, and what is only being copied is not among them. */
function atRisk({ atRisk: risk, weakest }: SurvivalStatus): readonly string[] {
  if (risk.files === 0) return []
  const shown = weakest.filter(({ health }) => health !== 'repairing').slice(0, WEAKEST_SHOWN)
  return [
    `at risk  ${files(risk)}:`,
    ...shown.map(each => `${INDENT}${weakFile(each)}`),
    ...more(risk.files - shown.length)
  ]
}

function weakFile(file: WeakFile): string {
  const { size, copies, wished } = file
  const left =
    copies === 0 ? 'no copy is known' : `${copies} of ${counted(wished, 'copy', 'copies')}`
  return `${printableJsonName(file)} (${readableSize(size)}): ${left}`
}

function more(count: number): readonly string[] {
  return count > 0 ? [`${INDENT}and ${count} more`] : []
}

function files({
  files: count,
  bytes
}: {
  readonly files: number
  readonly bytes: number
}): string {
  return `${counted(count, 'file', 'files')} (${readableSize(bytes)})`
}
