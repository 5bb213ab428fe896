/** The fake key-value store passes the suite of the real one. */
import t from 'tap'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'
import { keyValueStoreSuite } from '../suites/key-value-store-suite.ts'

keyValueStoreSuite(t, 'MemoryKeyValueStore', {
  create: () => Promise.resolve(new MemoryKeyValueStore()),
  remove: () => Promise.resolve()
})
