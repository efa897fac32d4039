/** Text that others wrote, on its way to a terminal: names of files, of regions, what a message quotes. */

/** Control characters, C1 ones too; line ends that some know; what turns the direction of writing. */
const UNPRINTABLE = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu

/** The colours of a result, which picocolors writes. */
const PAINT = new RegExp(`(${String.fromCharCode(0x1b)}\\[\\d{1,2}m)`)

/** The text with such characters as escapes, `\u001b`, which JSON reads back; but tabs and line feeds are left. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (char) => {
    if (char === '\n' || char === '\t') return char
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}

/** The same for text that we have painted. */
export function printablePainted(text: string): string {
  return text
    .split(PAINT)
    .map((part, i) => (i % 2 === 1 ? part : printable(part)))
    .join('')
}
