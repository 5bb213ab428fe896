/** The block store on a hypercore passes the suites of every log and every block store. */
import t from 'tap'
import { blockStoreSuite } from '../suites/block-store-suite.ts'
import { hypercoreSubject } from '../support/hypercore-home.ts'

blockStoreSuite(
  t,
  'HypercoreBlockStore',
  hypercoreSubject((home, identity) => home.openBlockStore(identity))
)
