/** The logs of another device in memory pass the suite of the real ones. */
import t from 'tap'
import { SystemClock } from '../../bin/system-clock.ts'
import { MemoryHome } from '../support/memory-home.ts'
import { MemoryLog } from '../support/memory-log.ts'
import { MemoryRemoteBlocks, MemoryRemoteLog } from '../support/memory-remote-logs.ts'
import { remoteLogSuite } from '../suites/remote-log-suite.ts'

remoteLogSuite(t, 'memory', async () => {
  const [home, there] = [new MemoryHome('here'), new MemoryHome('there')]
  const [operations, content] = [there.newKey(), there.newKey()]
  const [operationsThere, contentThere] = [operations, content].map(
    key => new MemoryLog({ home: there, key })
  )
  if (operationsThere === undefined || contentThere === undefined) throw new Error('no logs')
  let [isConnected, isStuck] = [true, false]
  const operationLog = new MemoryRemoteLog({ home, key: operations })
  const peers = {
    homes: () => (isConnected ? [there] : []),
    isStuck: () => isStuck,
    clock: new SystemClock()
  }
  const contentLog = new MemoryRemoteBlocks({ home, key: content, peers })
  // The clock's timers keep no process alive.
  const alive = setInterval(() => undefined, 1000)
  return {
    operationLog,
    contentLog,
    treeHashThere: length => operationsThere.treeHash(length),
    appendEntries: async entries => {
      await operationsThere.append(entries, operationsThere.length)
      await operationLog.receive(entries)
    },
    appendBlocks: async blocks => {
      await contentThere.append(blocks, contentThere.length)
    },
    disconnect: async () => {
      isConnected = false
    },
    stall: () => {
      isStuck = true
    },
    close: async () => {
      clearInterval(alive)
      for (const log of [operationLog, contentLog, operationsThere, contentThere]) await log.close()
    }
  }
})
