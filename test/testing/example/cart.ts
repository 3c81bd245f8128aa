import { ConditionFailed, type Holdfast } from 'holdfast'

export interface Cart {
  readonly items: Readonly<Record<string, number>>
}

/** A service of yours: carts in Holdfast, changed by reading, adding and writing where nobody was faster. */
export class Carts {
  readonly #db: Holdfast

  constructor(db: Holdfast) {
    this.#db = db
  }

  async add(user: string, item: string, count: number): Promise<void> {
    for (;;) {
      const entry = await this.#db.getEntry<Cart>(['cart', user])
      const items = entry?.value.items ?? {}
      const cart: Cart = { items: { ...items, [item]: (items[item] ?? 0) + count } }
      const condition = entry === undefined ? { ifAbsent: true as const } : { ifVersion: entry.version }
      try {
        await this.#db.put(['cart', user], cart, { ...condition, deadlineMs: 60_000 })
        return
      } catch (error) {
        if (!(error instanceof ConditionFailed)) throw error
      }
    }
  }

  async items(user: string): Promise<Cart['items']> {
    return (await this.#db.get<Cart>(['cart', user], { deadlineMs: 60_000 }))?.items ?? {}
  }
}
