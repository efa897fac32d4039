/** Made by scripts/bundle.mjs: every format of the workspace that makes tables. */
declare module 'workspace:formats' {
  export const formats: readonly import('@io-pgtable/core').AnyFmt[]
}
