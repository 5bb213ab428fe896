/**
 * What many simulated drives say together: what was lost and whether it may be, a table over time,
 * and a plot.
 *
 * @module
 */
import type { DriveHistory, DriveScenario, MonthSample } from './simulate-drive.ts'

/** A simulated drive. */
export interface SimulatedDrive {
  /** What it went through. */
  readonly scenario: DriveScenario
  /** What became of it. */
  readonly history: DriveHistory
}

/** Months of many drives, taken together. */
export interface MonthSummary {
  /** Which, from 1. */
  readonly month: number
  /** How many drives. */
  readonly drives: number
  /** Honest copies of a block on average. */
  readonly meanCopies: number
  /** Honest copies of the weakest block of all drives. */
  readonly leastCopies: number
  /** Copies that custodians counted of their weakest block, on average. */
  readonly countedCopies: number
  /** How many times the size of the drive was copied in the month, on average. */
  readonly traffic: number
  /** The share of blocks with fewer honest copies than the floor. */
  readonly belowFloor: number
  /** The share of blocks with fewer honest copies than were counted. */
  readonly overclaimed: number
}

/** Losses that must not be: of blocks that had honest copies enough a month before. */
export function forbiddenLosses({ scenario, history }: SimulatedDrive): readonly string[] {
  return history.lost
    .filter(({ copiesBefore }) => copiesBefore >= scenario.redundancy.floor)
    .map(
      ({ index, month, copiesBefore }) =>
        `seed ${scenario.seed}: block ${index} lost in month ${month + 1}, of ${copiesBefore} copies`
    )
}

/** Takes the months of drives together. */
export function summarizeMonths(drives: readonly SimulatedDrive[]): readonly MonthSummary[] {
  const length = Math.max(0, ...drives.map(({ history }) => history.months.length))
  return Array.from({ length }, (_, at) => {
    const samples = drives.flatMap(({ history, scenario }) => {
      const sample = history.months[at]
      return sample === undefined ? [] : [{ ...sample, blocks: scenario.blocks }]
    })
    const mean = (of: (sample: MonthSample & { readonly blocks: number }) => number): number =>
      samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length
    return {
      month: at + 1,
      drives: samples.length,
      meanCopies: mean(({ meanCopies }) => meanCopies),
      leastCopies: Math.min(...samples.map(({ leastCopies }) => leastCopies)),
      countedCopies: mean(({ countedCopies }) => countedCopies),
      traffic: mean(({ copiesMade, blocks }) => copiesMade / blocks),
      belowFloor: mean(({ belowFloor, blocks }) => belowFloor / blocks),
      overclaimed: mean(({ overclaimed, blocks }) => overclaimed / blocks)
    }
  })
}

/** The table that is printed. */
export function formatTable(drives: readonly SimulatedDrive[]): string {
  const months = summarizeMonths(drives)
  const years = months.length / 12
  const shown = months.filter(({ month }) => [1, 3, 6].includes(month) || month % 12 === 0)
  const rows = shown.map(summary => [
    summary.month < 12 ? `${summary.month} months` : `${summary.month / 12} years`,
    summary.meanCopies.toFixed(1),
    String(summary.leastCopies),
    summary.countedCopies.toFixed(1),
    summary.traffic.toFixed(2),
    percent(summary.belowFloor),
    percent(summary.overclaimed)
  ])
  const head = [
    'after',
    'copies, mean',
    'copies, least',
    'counted, least',
    'drive copied a month',
    'blocks below floor',
    'blocks overclaimed'
  ]
  const sum = (of: (history: DriveHistory) => number): number =>
    drives.reduce((total, { history }) => total + of(history), 0)
  return [
    ...table([head, ...rows]),
    '',
    `${drives.length} drives of ${years} years: ${drives.length * years} drive-years`,
    `blocks lost: ${sum(({ lost }) => lost.length)}`,
    `holders that vanished: ${sum(({ vanished }) => vanished)}`,
    `holders that lied: ${sum(({ liars }) => liars)}, found: ${sum(({ liarsFound }) => liarsFound)}`,
    `honest holders taken for liars: ${sum(({ honestFailed }) => honestFailed)}`
  ].join('\n')
}

function table(rows: readonly (readonly string[])[]): readonly string[] {
  const [head = []] = rows
  const widths = head.map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padStart(widths[column] ?? 0)).join(' | ')} |`
  const rule = `|${widths.map(width => `${'-'.repeat(width + 1)}:`).join('|')}|`
  const [first = '', ...rest] = rows.map(line)
  return [first, rule, ...rest]
}

function percent(share: number): string {
  return `${(share * 100).toFixed(3)} %`
}

const PLOT = { width: 760, height: 460, left: 60, right: 20, top: 40, gap: 60, bottom: 40 }

/** A plot of copies and of repair over time. */
export function plotSvg(drives: readonly SimulatedDrive[]): string {
  const months = summarizeMonths(drives)
  const { width, height, top, gap, bottom } = PLOT
  const panel = (height - top - gap - bottom) / 2
  const copies = panelSvg({
    ...{ months, top, height: panel, title: 'copies of a block' },
    lines: [
      { name: 'honest copies, mean', color: '#1b6ca8', of: ({ meanCopies }) => meanCopies },
      {
        name: 'counted, weakest block',
        color: '#d98e04',
        of: ({ countedCopies }) => countedCopies
      },
      {
        name: 'honest copies, weakest block of all',
        color: '#b3261e',
        of: ({ leastCopies }) => leastCopies
      }
    ]
  })
  const traffic = panelSvg({
    ...{ months, top: top + panel + gap, height: panel, title: 'drive copied in a month, times' },
    lines: [
      { name: 'first copies and repair', color: '#2e7d32', of: ({ traffic: times }) => times }
    ]
  })
  const years = (months.at(-1)?.month ?? 0) / 12
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<rect width="${width}" height="${height}" fill="white"/>
${copies}
${traffic}
<text x="${width / 2}" y="${height - 8}" text-anchor="middle">years (${drives.length} drives of ${years} years)</text>
</svg>
`
}

interface Panel {
  readonly months: readonly MonthSummary[]
  readonly top: number
  readonly height: number
  readonly title: string
  readonly lines: readonly {
    readonly name: string
    readonly color: string
    readonly of: (summary: MonthSummary) => number
  }[]
}

function panelSvg({ months, top, height, title, lines }: Panel): string {
  const { width, left, right } = PLOT
  const most = Math.max(1, ...months.flatMap(month => lines.map(({ of }) => of(month))))
  const last = Math.max(1, months.at(-1)?.month ?? 1)
  const x = (month: number): number => left + ((width - left - right) * month) / last
  const y = (value: number): number => top + height - (height * value) / most
  const parts = [`<text x="${left}" y="${top - 12}" font-weight="bold">${title}</text>`]
  const step = niceStep(most / 5)
  for (let value = 0; value <= most; value += step) {
    const at = y(value).toFixed(1)
    parts.push(`<path d="M${left} ${at}H${width - right}" stroke="#ddd"/>`)
    parts.push(
      `<text x="${left - 8}" y="${at}" dy="4" text-anchor="end">${+value.toFixed(2)}</text>`
    )
  }
  for (let year = 0; year * 12 <= last; year++)
    parts.push(
      `<text x="${x(year * 12).toFixed(1)}" y="${top + height + 16}" text-anchor="middle">${year}</text>`
    )
  for (const [at, { name, color, of }] of lines.entries()) {
    const points = months.map(month => `${x(month.month).toFixed(1)},${y(of(month)).toFixed(1)}`)
    parts.push(
      `<polyline points="${points.join(' ')}" fill="none" stroke="${color}" stroke-width="1.5"/>`
    )
    parts.push(`<text x="${left + 190 + at * 180}" y="${top - 12}" fill="${color}">${name}</text>`)
  }
  return parts.join('\n')
}

function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least))
  return power * ([1, 2, 5].find(factor => factor * power >= least) ?? 10)
}
