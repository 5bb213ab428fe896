/**
 * Computers of one local network, played by network namespaces on a bridge: 192.168.77.1 is the
 * bridge, the members are 192.168.77.2 and up. Needs root and `ip`.
 *
 * @module
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** How many members one network may have. */
export const MEMBERS_MAX = 16

/** The address of the bridge. */
export const BRIDGE_ADDRESS = '192.168.77.1'

let networksMade = 0

const ip = async (...args: readonly string[]): Promise<void> => {
  await run('ip', [...args])
}

/** A local network; see the module. */
export class NetworkNamespaces implements AsyncDisposable {
  readonly #prefix: string
  readonly #names: readonly string[]

  private constructor(prefix: string, members: number) {
    this.#prefix = prefix
    this.#names = Array.from({ length: members }, (_, index) => `${prefix}-${index}`)
  }

  /** Why there can be none here, or undefined when there can. */
  static async obstacle(): Promise<string | undefined> {
    const name = `grove-${process.pid}-probe`
    try {
      await ip('netns', 'add', name)
      await ip('-n', name, 'link', 'add', 'br0', 'type', 'bridge')
      return undefined
    } catch (error) {
      return `no network namespaces here: ${error instanceof Error ? error.message.trim() : ''}`
    } finally {
      await ip('netns', 'delete', name).catch(() => undefined)
    }
  }

  /** Makes a network; the caller closes it. */
  static async open(members: number): Promise<NetworkNamespaces> {
    if (members < 1 || members > MEMBERS_MAX) throw new RangeError(`${members} members`)
    const network = new NetworkNamespaces(`grove-${process.pid}-${networksMade++}`, members)
    try {
      await network.#make()
      return network
    } catch (error) {
      await network.close()
      throw error
    }
  }

  /** The address of a member. */
  address(member: number): string {
    return `192.168.77.${member + 2}`
  }

  /** What to put before a command so that it runs at a member. */
  at(member: number): readonly string[] {
    return ['ip', 'netns', 'exec', this.#name(member)]
  }

  /** As {@link NetworkNamespaces.at}, with the file systems of this process: mounts are shared. */
  withMountsAt(member: number): readonly string[] {
    return ['nsenter', `--net=/run/netns/${this.#name(member)}`]
  }

  /** What to put before a command so that it runs at the bridge. */
  get atBridge(): readonly string[] {
    return ['ip', 'netns', 'exec', this.#bridge]
  }

  /** Pulls the plug of a member: its link goes down, and its address goes with it. */
  async unplug(member: number): Promise<void> {
    await ip('-n', this.#name(member), 'link', 'set', 'eth0', 'down')
  }

  /** Undoes {@link unplug}. */
  async plug(member: number): Promise<void> {
    await ip('-n', this.#name(member), 'link', 'set', 'eth0', 'up')
  }

  /** Lets nothing through to a member, which does not notice: a switch fails somewhere. */
  async cut(member: number): Promise<void> {
    await ip('-n', this.#bridge, 'link', 'set', `port${member}`, 'nomaster')
  }

  /** Undoes {@link cut}. */
  async mend(member: number): Promise<void> {
    await ip('-n', this.#bridge, 'link', 'set', `port${member}`, 'master', 'br0')
  }

  /** Removes it. Idempotent. Processes that run there stay, without a network. */
  async close(): Promise<void> {
    for (const name of [...this.#names, this.#bridge]) {
      await ip('netns', 'delete', name).catch(() => undefined)
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get #bridge(): string {
    return `${this.#prefix}-bridge`
  }

  #name(member: number): string {
    const name = this.#names[member]
    if (name === undefined) throw new RangeError(`no member ${member}`)
    return name
  }

  async #make(): Promise<void> {
    const bridge = this.#bridge
    await ip('netns', 'add', bridge)
    await ip('-n', bridge, 'link', 'set', 'lo', 'up')
    await ip('-n', bridge, 'link', 'add', 'br0', 'type', 'bridge')
    await ip('-n', bridge, 'address', 'add', `${BRIDGE_ADDRESS}/24`, 'dev', 'br0')
    await ip('-n', bridge, 'link', 'set', 'br0', 'up')
    for (const [member, name] of this.#names.entries()) {
      const port = `port${member}`
      await ip('netns', 'add', name)
      await ip('-n', name, 'link', 'set', 'lo', 'up')
      await ip(
        '-n',
        bridge,
        ...`link add ${port} type veth peer name eth0 netns ${name}`.split(' ')
      )
      await ip('-n', bridge, 'link', 'set', port, 'master', 'br0', 'up')
      await ip('-n', name, 'address', 'add', `${this.address(member)}/24`, 'dev', 'eth0')
      await ip('-n', name, 'link', 'set', 'eth0', 'up')
    }
  }
}
