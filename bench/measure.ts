/**
 * Asks every question of every subject, so that the answers can be compared.
 *
 * What makes it fair: the subjects take turns within each round and the turn moves on by one with
 * each round, so a slow moment of the machine meets them all; all do the same work on the same
 * disk; before each measurement what was written before is on disk. A cold question first
 * unmounts and mounts each subject anew, so that no process remembers anything, and then empties
 * the kernel's caches. Warm-up files are other files than the ones that are timed.
 *
 * @module
 */
import { join } from 'node:path'
import { pause, run } from './command.ts'
import type { Question, Round, Scale } from './question.ts'
import type { Subject, SubjectName } from './subject.ts'

/** How long a subject may finish what it put off, before each measurement. */
export const SETTLE_MS = 400

/** A question and what each subject answered. */
export interface Answer {
  /** What was asked. */
  readonly question: Question
  /** The seconds of each round, in the order of the rounds. */
  readonly seconds: Readonly<Partial<Record<SubjectName, readonly number[]>>>
}

/** What to measure. */
export interface Plan {
  /** The subjects, mounted. */
  readonly subjects: readonly Subject[]
  /** The questions. */
  readonly questions: readonly Question[]
  /** How much each question does. */
  readonly scale: Scale
  /** How often each question is asked. */
  readonly rounds: number
  /** The archive of the source tree. */
  readonly archive: string
  /** Whether the kernel's caches can be emptied here. */
  readonly canDropCaches: boolean
  /** Told what goes on. */
  readonly report: (line: string) => void
  /** Stops between two measurements. */
  readonly signal: AbortSignal
}

/** Asks all questions. */
export async function measure(plan: Plan): Promise<Answer[]> {
  const answers: Answer[] = []
  for (const question of plan.questions) {
    plan.report(`${question.title} ...`)
    answers.push({ question, seconds: await askAll(question, plan) })
  }
  return answers
}

async function askAll(question: Question, plan: Plan): Promise<Answer['seconds']> {
  const { subjects } = plan
  const places = new Map(
    subjects.map(subject => [subject, join(subject.directory, question.id)] as const)
  )
  const roundOf = (subject: Subject, number: number): Round => ({
    subject,
    directory: places.get(subject) ?? subject.directory,
    number,
    scale: plan.scale,
    archive: plan.archive
  })

  for (const [subject, directory] of places) {
    plan.signal.throwIfAborted()
    await run('mkdir', [directory])
    await question.prepare?.(roundOf(subject, 0))
  }

  const seconds: Partial<Record<SubjectName, number[]>> = {}
  for (let number = 1; number <= plan.rounds; number++)
    for (let turn = 0; turn < subjects.length; turn++) {
      const subject = subjects[(number + turn) % subjects.length]
      if (subject === undefined) continue
      plan.signal.throwIfAborted()
      await settle(question.cold ? subject : undefined, plan)
      const taken = await question.ask(roundOf(subject, number))
      ;(seconds[subject.name] ??= []).push(taken)
    }

  for (const directory of places.values()) await run('rm', ['-rf', directory])
  return seconds
}

/** Lets earlier work finish; for a cold question, makes everything forget. */
async function settle(forget: Subject | undefined, plan: Plan): Promise<void> {
  await pause(SETTLE_MS)
  await run('sync', [])
  if (forget === undefined) return
  await forget.unmount()
  await forget.mount()
  await run('sync', [])
  if (plan.canDropCaches) await dropCaches()
}

/** Empties the kernel's caches of pages, names and inodes. Only root may. */
export async function dropCaches(): Promise<void> {
  await run('sh', ['-c', 'echo 3 > /proc/sys/vm/drop_caches'])
}
