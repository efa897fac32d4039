/** What a scene shows and makes sure of: plain data, from which the text and the JSON are made alike. */
import type { Dump } from './dump.ts'

/** Numbers are counts, bigints addresses and descriptors. */
export type Cell = string | number | bigint

export interface Check {
  readonly what: string
  readonly ok: boolean
  readonly detail: string
}

export type Block =
  | { readonly say: string }
  | { readonly head: readonly string[]; readonly rows: readonly (readonly Cell[])[] }
  /** One character for each equal part of an address space: see `gpu/bar.ts`. */
  | { readonly bar: string; readonly of: string }

/** A part of the demo. */
export interface Scene {
  readonly title: string
  readonly about: string
  play(stage: Stage, dump: Dump): void | Promise<void>
}

export class Stage {
  readonly blocks: Block[] = []
  readonly checks: Check[] = []

  say(text: string): void {
    this.blocks.push({ say: text })
  }

  table(head: readonly string[], rows: readonly (readonly Cell[])[]): void {
    this.blocks.push({ head, rows })
  }

  bar(of: string, bar: string): void {
    this.blocks.push({ bar, of })
  }

  /** @param detail what was found */
  check(what: string, ok: boolean, detail: Cell = ''): void {
    this.checks.push({ what, ok, detail: typeof detail === 'number' ? detail.toLocaleString('en-US') : String(detail) })
  }

  /** A check of a value; when it is another one, both are told. */
  same(what: string, got: Cell, want: Cell): void {
    this.check(what, got === want, got === want ? got : `${got}, not ${want}`)
  }
}

/** A scene after it was played. */
export interface Played extends Pick<Scene, 'title' | 'about'>, Pick<Stage, 'blocks' | 'checks'> {}

/** Plays a scene. What it throws is a check that failed: the other scenes are played all the same. */
export async function play(scene: Scene, dump: Dump): Promise<Played> {
  const stage = new Stage()
  try {
    await scene.play(stage, dump)
  } catch (error) {
    stage.check('the scene ends', false, error instanceof Error ? error.message : String(error))
  }
  const { title, about } = scene
  return { title, about, blocks: stage.blocks, checks: stage.checks }
}

/** JSON in which bigints are hex strings. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, one: unknown) => (typeof one === 'bigint' ? `0x${one.toString(16)}` : one), 2)
}
