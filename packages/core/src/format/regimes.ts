/** Translation regimes: whose registers a format takes, and what those are called there. */

/** A translation regime, by the name that `rootsFromRegs` knows it by. */
export interface Regime {
  /** By the manual's names there, lower case: the register that takes their place. `{ ttbr0_el2: 'ttbr0' }`. */
  readonly registers: Readonly<Record<string, string>>
  /** The tables of that regime are of another format. */
  readonly format?: string
  /** The value of the register `regime` that says so; left out where the registers alone do. */
  readonly value?: string
}
