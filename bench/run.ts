/**
 * The benchmark: Grove beside the native folder, bindfs and gocryptfs, in one run.
 *
 * Usage: npm run bench -- [--rounds N] [--only ID,...] [--subjects NAME,...] [--directory DIR]
 * [--quick] [--json]. The table goes to standard output, progress to standard error.
 *
 * @module
 */
import { mkdtemp, realpath, statfs } from 'node:fs/promises'
import { arch, cpus, release, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { run } from './command.ts'
import { dropCaches, measure } from './measure.ts'
import { FULL_SCALE, QUICK_SCALE, type Question } from './question.ts'
import { create } from './questions/create.ts'
import { fsync } from './questions/fsync.ts'
import { readCold } from './questions/read-cold.ts'
import { readStreamAgain } from './questions/read-stream-again.ts'
import { readStreamCold } from './questions/read-stream-cold.ts'
import { statCold } from './questions/stat-cold.ts'
import { statWarm } from './questions/stat-warm.ts'
import { untar } from './questions/untar.ts'
import { writeStreamDurable } from './questions/write-stream-durable.ts'
import { writeStream } from './questions/write-stream.ts'
import { renderJson, renderMarkdown, type Circumstances } from './report.ts'
import { makeSourceTree } from './source-tree.ts'
import { SUBJECT_NAMES, unmountFolder, type Subject, type SubjectName } from './subject.ts'
import { bindfs } from './subjects/bindfs.ts'
import { gocryptfs } from './subjects/gocryptfs.ts'
import { grove } from './subjects/grove.ts'
import { native } from './subjects/native.ts'

/** Rounds unless the caller says otherwise. */
const ROUNDS = 7

/** Disk space that must be free before a full run starts, in bytes. */
const FREE_BYTES_MIN = 12 * 2 ** 30

const KINDS = [native, bindfs, gocryptfs, grove]

const QUESTIONS: readonly Question[] = [
  create,
  statCold,
  statWarm,
  readCold,
  writeStream,
  writeStreamDurable,
  readStreamCold,
  readStreamAgain,
  fsync,
  untar
]

interface Options {
  readonly rounds: number
  readonly questions: readonly Question[]
  readonly subjects: readonly SubjectName[] | undefined
  readonly parent: string
  readonly quick: boolean
  readonly json: boolean
}

const report = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string' },
      only: { type: 'string' },
      subjects: { type: 'string' },
      directory: { type: 'string' },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false }
    }
  })
  const rounds = Number(values.rounds ?? (values.quick ? 1 : ROUNDS))
  if (!Number.isSafeInteger(rounds) || rounds < 1) throw new Error('--rounds must be at least 1')
  const ids = QUESTIONS.map(question => question.id)
  const only = values.only?.split(',') ?? ids
  for (const id of only) if (!ids.includes(id)) throw new Error(`--only is of ${ids.join(', ')}`)
  const names: readonly string[] = SUBJECT_NAMES
  const subjects = values.subjects?.split(',')
  for (const name of subjects ?? [])
    if (!names.includes(name)) throw new Error(`--subjects is of ${names.join(', ')}`)
  return {
    rounds,
    questions: QUESTIONS.filter(question => only.includes(question.id)),
    subjects: SUBJECT_NAMES.filter(name => subjects?.includes(name) ?? true),
    parent: values.directory ?? tmpdir(),
    quick: values.quick,
    json: values.json
  }
}

async function main(): Promise<void> {
  const options = readOptions()
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)))

  const base = await realpath(await mkdtemp(join(options.parent, 'grove-bench-')))
  const subjects: Subject[] = []
  try {
    const { bavail, bsize } = await statfs(base)
    if (!options.quick && bavail * bsize < FREE_BYTES_MIN)
      throw new Error(`${options.parent} needs ${FREE_BYTES_MIN / 2 ** 30} GiB of free space`)
    const notes = await openSubjects(base, options, subjects)
    const scale = options.quick ? QUICK_SCALE : FULL_SCALE
    const canDropCaches = await dropCaches().then(
      () => true,
      () => false
    )
    const answers = await measure({
      subjects,
      questions: options.questions,
      scale,
      rounds: options.rounds,
      archive: await makeSourceTree({ base, files: scale.treeFiles }),
      canDropCaches,
      report,
      signal: stop.signal
    })
    const facts: Circumstances = {
      date: new Date().toISOString().slice(0, 10),
      machine: describeMachine(),
      subjects: notes,
      rounds: options.rounds,
      scale,
      cold: canDropCaches
        ? 'each is mounted anew and the caches of the kernel are emptied'
        : 'each is mounted anew, but the caches of the kernel are kept (this is not root)'
    }
    process.stdout.write(options.json ? renderJson(answers, facts) : renderMarkdown(answers, facts))
  } finally {
    await cleanUp(base, subjects)
  }
}

/** Opens and mounts what is there. @returns a line for each: its version, or what is missing */
async function openSubjects(
  base: string,
  options: Options,
  opened: Subject[]
): Promise<Record<SubjectName, string>> {
  const notes: Record<SubjectName, string> = {
    native: 'not asked for',
    bindfs: 'not asked for',
    gocryptfs: 'not asked for',
    grove: 'not asked for'
  }
  for (const kind of KINDS) {
    if (options.subjects?.includes(kind.name) === false) continue
    const missing = await kind.missing()
    if (missing !== undefined) {
      notes[kind.name] = missing
      report(`${kind.name} is left out: ${missing}`)
      continue
    }
    const subject = await kind.open(base)
    opened.push(subject)
    await subject.mount()
    notes[kind.name] = subject.version
  }
  if (opened.length === 0) throw new Error('there is nothing to measure')
  return notes
}

/** Unmounts everything, by force where it must be, and only then removes the folders. */
async function cleanUp(base: string, subjects: readonly Subject[]): Promise<void> {
  for (const { name, directory, unmount } of subjects)
    try {
      await unmount()
    } catch (error) {
      report(`${name} did not end well: ${String(error)}`)
      await unmountFolder(directory, 'lazy').catch((cause: unknown) => report(String(cause)))
    }
  // What is still mounted in spite of all that is another file system, and left alone.
  await run('rm', ['-rf', '--one-file-system', base])
}

function describeMachine(): Circumstances['machine'] {
  const processors = cpus()
  return {
    processor: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    'memory GiB': Math.round(totalmem() / 2 ** 30),
    architecture: arch(),
    kernel: release(),
    Node: process.version
  }
}

try {
  await main()
} catch (error) {
  report(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
