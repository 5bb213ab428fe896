/**
 * The client side of the benchmark, a process of its own: does what its argument asks and prints
 * how many seconds that took.
 *
 * Usage: node client.js '{"operation":"create","directory":"...","warm":"...","count":1000}'
 *
 * @module
 */
import type { ClientRequest } from './client-request.ts'
import { serve } from './serve.ts'

const [asked] = process.argv.slice(2)
if (asked === undefined) throw new Error('usage: client REQUEST')
process.stdout.write(JSON.stringify(serve(JSON.parse(asked) as ClientRequest)))
