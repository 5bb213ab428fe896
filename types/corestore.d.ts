/** What we call of corestore, which publishes no types. */
declare module 'corestore' {
  import type Hypercore from 'hypercore'
  import type { Manifest } from 'hypercore'
  import type HypercoreStorage from 'hypercore-storage'

  export default class Corestore {
    constructor(storage: HypercoreStorage, options?: { readonly active?: boolean })
    ready(): Promise<void>
    close(): Promise<void>
    get(options: {
      readonly manifest: Manifest
      readonly allowFork: false
      readonly inflightRange?: readonly [number, number]
    }): Hypercore
  }
}
