/** Names that people type: small slips are taken, larger ones answered with what was meant. */

/** How a name is compared: case, `-` and `_` do not matter. */
export function nameKey(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, '')
}

/** The one of `known` that a name means. */
export function knownName(name: string, known: readonly string[]): string | undefined {
  return known.includes(name) ? name : known.find((each) => nameKey(each) === nameKey(name))
}

/** `; did you mean satp?`, or nothing where none is near. */
export function didYouMean(name: string, known: readonly string[]): string {
  const key = nameKey(name)
  const near = known
    .map((each) => ({ each, far: distance(key, nameKey(each)) }))
    .filter(({ each, far }) => far <= Math.max(1, Math.floor(nameKey(each).length / 3)))
    .sort((a, b) => a.far - b.far)
  return near.length === 0 ? '' : `; did you mean ${near[0]?.each}?`
}

/** Letters that are added, left out, changed, or swapped with their neighbour (optimal string alignment). */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      row[j] = Math.min((rows[i - 1]?.[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (rows[i - 1]?.[j - 1] ?? 0) + same)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) row[j] = Math.min(row[j] ?? 0, (rows[i - 2]?.[j - 2] ?? 0) + 1)
    }
    rows.push(row)
  }
  return rows.at(-1)?.at(-1) ?? 0
}
