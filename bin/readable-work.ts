/**
 * What was kept for how long, for people.
 *
 * @module
 */

/** A GiB for a day, in MiB times seconds. */
export const GIB_DAY_MIB_SECONDS: number = 1024 * 86_400

/** As GiB times days; less than a tenth of one as MiB times days. */
export function readableWork(gibDays: number): string {
  const isMuch = gibDays >= 0.1 || gibDays === 0
  return isMuch ? `${gibDays.toFixed(1)} GiB days` : `${(gibDays * 1024).toFixed(1)} MiB days`
}
