/** The log on a hypercore passes the suite of every log. */
import t from 'tap'
import { logSuite } from '../suites/log-suite.ts'
import { hypercoreSubject } from '../support/hypercore-home.ts'

logSuite(
  t,
  'HypercoreLog',
  hypercoreSubject((home, identity) => home.openLog(identity))
)
