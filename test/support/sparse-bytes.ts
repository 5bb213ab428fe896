/**
 * The contents of a file in memory, where what was never written costs nothing: a Map of pages,
 * so that a file of 1 TiB with one byte in it takes one page.
 *
 * @module
 */

/** Size of a page in bytes; holes are kept and reported in whole pages. */
export const PAGE_BYTES = 4096

/** A growable run of bytes with holes. */
export class SparseBytes {
  readonly #pages = new Map<number, Uint8Array>()
  #size = 0

  /** Length in bytes. */
  get size(): number {
    return this.#size
  }

  /** Space taken, in bytes: whole pages. */
  get allocatedBytes(): number {
    return this.#pages.size * PAGE_BYTES
  }

  /** @returns a copy of what lies in the range; shorter only at the end */
  read(offset: number, length: number): Uint8Array {
    const end = Math.min(this.#size, offset + length)
    const result = new Uint8Array(Math.max(0, end - offset))
    forEachPage(offset, end, piece => {
      const page = this.#pages.get(piece.page)
      if (page) result.set(page.subarray(piece.from, piece.to), piece.start - offset)
    })
    return result
  }

  /** Lays `data` over the range that starts at `offset` and grows where it ends beyond. */
  write(offset: number, data: Uint8Array): void {
    const end = offset + data.length
    forEachPage(offset, end, piece => {
      const from = piece.start - offset
      this.#pageToWrite(piece.page).set(
        data.subarray(from, from + piece.to - piece.from),
        piece.from
      )
    })
    this.#size = Math.max(this.#size, end)
  }

  /** Makes the range read as zeros, giving whole pages back. Never changes the size. */
  clear(offset: number, length: number): void {
    const end = Math.min(this.#size, offset + length)
    if (end <= offset) return
    for (const [page, bytes] of this.#pages) {
      const from = Math.max(offset - page * PAGE_BYTES, 0)
      const to = Math.min(end - page * PAGE_BYTES, PAGE_BYTES)
      if (to <= from) continue
      if (from === 0 && to === PAGE_BYTES) this.#pages.delete(page)
      else bytes.fill(0, from, to)
    }
  }

  /** Sets the size: cuts what lies beyond, or grows by a hole. */
  resize(size: number): void {
    if (size < this.#size) this.clear(size, this.#size - size)
    for (const page of this.#pages.keys()) {
      if (page * PAGE_BYTES >= size) this.#pages.delete(page)
    }
    this.#size = size
  }

  /** @returns the first position from `offset` on that a page holds, or undefined */
  nextData(offset: number): number | undefined {
    let first: number | undefined
    for (const page of this.#pages.keys()) {
      const start = Math.max(offset, page * PAGE_BYTES)
      const inside = start < (page + 1) * PAGE_BYTES && start < this.#size
      if (inside && (first === undefined || start < first)) first = start
    }
    return first
  }

  /** @returns the first position from `offset` on that no page holds; at most the size */
  nextHole(offset: number): number {
    let at = offset
    while (at < this.#size && this.#pages.has(Math.floor(at / PAGE_BYTES))) {
      at = (Math.floor(at / PAGE_BYTES) + 1) * PAGE_BYTES
    }
    return Math.min(at, this.#size)
  }

  #pageToWrite(page: number): Uint8Array {
    const existing = this.#pages.get(page)
    if (existing) return existing
    const created = new Uint8Array(PAGE_BYTES)
    this.#pages.set(page, created)
    return created
  }
}

interface PagePiece {
  readonly page: number
  readonly start: number
  readonly from: number
  readonly to: number
}

function forEachPage(offset: number, end: number, visit: (piece: PagePiece) => void): void {
  for (let start = offset; start < end;) {
    const page = Math.floor(start / PAGE_BYTES)
    const from = start - page * PAGE_BYTES
    const to = Math.min(PAGE_BYTES, end - page * PAGE_BYTES)
    visit({ page, start, from, to })
    start = (page + 1) * PAGE_BYTES
  }
}
