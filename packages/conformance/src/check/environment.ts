/** What the kit may find where it runs, Node or a browser, reached without importing anything. */

interface NodeLike {
  readonly env?: Readonly<Record<string, string | undefined>>
  getBuiltinModule?(name: string): unknown
}

function node(): NodeLike | undefined {
  return (globalThis as { process?: NodeLike }).process
}

/** An environment variable; undefined where there are none. */
export function environmentVariable(name: string): string | undefined {
  return node()?.env?.[name]
}

/** A module of Node, such as `node:fs`; undefined elsewhere. */
export function builtin<T>(name: string): T | undefined {
  return node()?.getBuiltinModule?.(name) as T | undefined
}
