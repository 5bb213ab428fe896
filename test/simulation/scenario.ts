/**
 * A language for stories of several devices. It reads as what people do:
 *
 *     await as(laptop).write('/notes.txt', 'a')
 *     await heal()
 *     await as(phone).offline()
 *     await as(phone).write('/notes.txt', 'b')
 *     await as(laptop).write('/notes.txt', 'c')
 *     await heal()
 *     await everyoneSees('/notes.txt', 'b')
 *     await everyoneSees('/notes*.txt', 'c')
 *
 * A story is told over devices in memory or over real mounts; see {@link Scenario}.
 *
 * Paths begin with `/`. In a path that is looked for, `*` in the last name stands for what a
 * conflict name adds: exactly one name must fit.
 *
 * @module
 */

/** What is done on one device. Every call resolves when the program that did it would go on. */
export interface Actor {
  /** Makes a file or replaces its content. */
  write(path: string, text: string): Promise<void>
  /** Writes at a file's end. */
  append(path: string, text: string): Promise<void>
  /** Reads a file. @throws when there is none */
  read(path: string): Promise<string>
  /** The names in a directory, sorted. */
  list(path: string): Promise<readonly string[]>
  /** Makes a directory. */
  mkdir(path: string): Promise<void>
  /** Removes a file or an empty directory. */
  remove(path: string): Promise<void>
  /** Moves what is at a path, over what is at the other. */
  move(path: string, to: string): Promise<void>
  /** Swaps what is at two paths. */
  exchange(path: string, other: string): Promise<void>
  /** Gives a file another name. */
  link(path: string, to: string): Promise<void>
  /** Sets permission bits. */
  chmod(path: string, mode: number): Promise<void>
  /** The permission bits. */
  mode(path: string): Promise<number>
  /** Opens a file and leaves it open, to be written and closed in another line of the story. */
  open(path: string): Promise<OpenFile>
  /** Makes all it did survive a loss of power. */
  sync(): Promise<void>
  /** Takes the device off the network, until {@link Actor.online} or {@link Scenario.heal}. */
  offline(): Promise<void>
  /** Puts it back. */
  online(): Promise<void>
  /** Kills its process and starts it again. Files that it had open are gone. */
  restartAfterKill(): Promise<void>
  /** Cuts its power, so that what was not synced is lost, and starts it again. */
  restartAfterPowerLoss(): Promise<void>
}

/** A file that a program on some device has open. */
export interface OpenFile {
  /** Writes over the beginning of the content. */
  write(text: string): Promise<void>
  /** Reads the whole content. */
  read(): Promise<string>
  /** Closes it. */
  close(): Promise<void>
}

/** Devices of one drive, by the names that the story gives them. */
export interface Scenario {
  /** What a device does. Starts out online. @throws when the story has no such device */
  readonly as: (device: string) => Actor
  /** Ends every parting, puts every device online and waits until all have merged everything. */
  readonly heal: () => Promise<void>
  /** Parts the network: devices hear only those of their own group. */
  readonly part: (...groups: readonly (readonly string[])[]) => Promise<void>
  /** Every device that is online shows this text at this path, now or soon. @throws if not */
  readonly everyoneSees: (path: string, text: string) => Promise<void>
  /** Every device that is online shows these names in a directory, and no others. */
  readonly everyoneLists: (path: string, names: readonly string[]) => Promise<void>
  /** Every device shows the same whole tree, down to attributes and bytes. */
  readonly everyoneAgrees: () => Promise<void>
  /** Stops all devices and removes what they left. */
  readonly close: () => Promise<void>
}

/** Makes devices of one new drive, all of them online. */
export type OpenScenario = (devices: readonly string[]) => Promise<Scenario>

/** A story. */
export interface Story {
  /** What happens, in a sentence. */
  readonly name: string
  /** Who takes part; the first in a list is the first in the order of equal times. */
  readonly devices: readonly string[]
  /** Tells it. */
  readonly tell: (scenario: Scenario) => Promise<void>
}

/** Whether a name is what a pattern says: `*` stands for what a conflict name adds. */
export function fitsName(pattern: string, name: string): boolean {
  const [stem, extension, ...more] = pattern.split('*')
  if (stem === undefined || extension === undefined || more.length > 0) return pattern === name
  const isAround = name.startsWith(`${stem} (conflict, `) && name.endsWith(extension)
  if (!isAround) return false
  const middle = name.slice(stem.length, name.length - extension.length)
  return /^ \(conflict, [^)]+, \d{4}-\d\d-\d\d \d\d\.\d\d\)( \d+)?$/.test(middle)
}
