/**
 * What is printed: medians, ratios of medians, and whether a goal is met.
 *
 * @module
 */
import type { Answer } from './measure.ts'
import type { Goal, Scale } from './question.ts'
import { SUBJECT_NAMES, type SubjectName } from './subject.ts'

/** Quartiles further apart than this make a figure unsteady. */
export const SPREAD_MAX = 1.5

/** Where and how a run was made. */
export interface Circumstances {
  /** The day, as YYYY-MM-DD. */
  readonly date: string
  /** The machine: processor, cores, memory, kernel, Node, disk. */
  readonly machine: Readonly<Record<string, string | number>>
  /** Each subject's version, or why it was not measured. */
  readonly subjects: Readonly<Record<SubjectName, string>>
  /** How often each question was asked. */
  readonly rounds: number
  /** How much each question did. */
  readonly scale: Scale
  /** How caches were emptied for the cold questions. */
  readonly cold: string
}

/** The middle of some numbers, or the mean of the two in the middle. */
export function median(numbers: readonly number[]): number {
  if (numbers.length === 0) throw new Error('no numbers')
  const sorted = numbers.toSorted((left, right) => left - right)
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN
  return (lower + upper) / 2
}

/**
 * How far the rounds lie apart: the third quartile as a multiple of the first. Near 1 the machine
 * was quiet.
 */
export function spread(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((left, right) => left - right)
  const at = (part: number): number => sorted[Math.round(part * (sorted.length - 1))] ?? Number.NaN
  return at(0.75) / at(0.25)
}

/** How fast one subject is as a multiple of another, or undefined where one was not measured. */
export function speedOf(
  answer: Answer,
  pair: { readonly subject: SubjectName; readonly against: SubjectName }
): number | undefined {
  const own = answer.seconds[pair.subject]
  const other = answer.seconds[pair.against]
  return own === undefined || other === undefined ? undefined : median(other) / median(own)
}

/** Whether Grove reaches a goal; undefined where that was not measured. */
export function isMet(answer: Answer, goal: Goal): boolean | undefined {
  const speed = speedOf(answer, { subject: 'grove', against: goal.against })
  return speed === undefined ? undefined : speed >= goal.speedMin
}

/** The whole report as Markdown, formatted as prettier would. */
export function renderMarkdown(answers: readonly Answer[], facts: Circumstances): string {
  const measured = SUBJECT_NAMES.filter(name => answers.some(answer => answer.seconds[name]))
  const others = measured.includes('grove') ? measured.filter(name => name !== 'grove') : []
  const head = ['', ...measured, ...others.map(name => `grove : ${name}`), 'goal', 'met']
  const rows = answers.map(answer => {
    const { question, seconds } = answer
    const figures = measured.map(name => {
      const taken = seconds[name]
      if (taken === undefined) return '-'
      return `${round(question.unit.of(median(taken), facts.scale))} ${question.unit.name}`
    })
    const ratios = others.map(name => {
      const speed = speedOf(answer, { subject: 'grove', against: name })
      return speed === undefined ? '-' : round(speed)
    })
    const met = question.goal === undefined ? undefined : isMet(answer, question.goal)
    return [
      question.title,
      ...figures,
      ...ratios,
      question.goal?.words ?? '',
      met === undefined ? '' : met ? 'yes' : 'no'
    ]
  })
  const unsteady = renderUnsteady(answers)
  return [...renderFacts(facts), '', ...renderTable([head, ...rows]), '', ...unsteady].join('\n')
}

/** Names the figures that the rounds do not agree on, so that nobody builds on them. */
function renderUnsteady(answers: readonly Answer[]): string[] {
  const names = answers.flatMap(({ question, seconds }) =>
    SUBJECT_NAMES.filter(name => spread(seconds[name] ?? [1]) > SPREAD_MAX).map(
      name => `${question.title} (${name})`
    )
  )
  if (names.length === 0) return []
  return [`Unsteady, with quartiles more than ${SPREAD_MAX} × apart: ${names.join(', ')}.`, '']
}

function renderFacts(facts: Circumstances): string[] {
  const machine = Object.entries(facts.machine).map(([name, value]) => `${name} ${value}`)
  const subjects = SUBJECT_NAMES.map(name => `${name}: ${facts.subjects[name]}`)
  return [
    `Measured on ${facts.date}: ${machine.join(', ')}.`,
    `Medians of ${facts.rounds} rounds in which the subjects take turns. A ratio is of speeds: 2 is twice as fast.`,
    `${subjects.join('; ')}. Cold: ${facts.cold}.`
  ]
}

function renderTable(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(3, ...rows.map(row => row[column]?.length ?? 0))
  )
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  const [head = [], ...body] = rows
  return [line(head), line(widths.map(width => '-'.repeat(width))), ...body.map(line)]
}

/** Three digits that count, without an exponent. */
function round(value: number): string {
  if (value === 0) return '0'
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  return value.toFixed(Math.min(3, digits))
}

/** The same facts for programs: every single measurement included. */
export function renderJson(answers: readonly Answer[], facts: Circumstances): string {
  const questions = answers.map(answer => {
    const { id, title, goal, unit } = answer.question
    const medians = SUBJECT_NAMES.flatMap(name => {
      const taken = answer.seconds[name]
      return taken === undefined ? [] : [[name, unit.of(median(taken), facts.scale)] as const]
    })
    return {
      id,
      title,
      unit: unit.name,
      seconds: answer.seconds,
      medians: Object.fromEntries(medians),
      ...(goal === undefined ? {} : { goal, met: isMet(answer, goal) ?? null })
    }
  })
  return `${JSON.stringify({ ...facts, questions }, null, 2)}\n`
}
