// The toy in a worker whose engine installs tables without an exchange: who is later overwrites the table of who was first. The pause
// between the look and the write makes sure that workers meet there.
export { toy } from '../../dist/toy.js'

const exchange = Atomics.compareExchange.bind(Atomics)
const sleep = new Int32Array(new SharedArrayBuffer(4))
let left = 2

/** @param {Int32Array} words @param {number} at @param {number} expected @param {number} value */
function overwrite(words, at, expected, value) {
  // the word of a lock becomes 1, which no table descriptor is
  if (left === 0 || expected !== 0 || value === 1 || words[at] !== 0) return exchange(words, at, expected, value)
  left--
  Atomics.wait(sleep, 0, 0, 100)
  words[at] = value
  return expected
}
Object.assign(Atomics, { compareExchange: overwrite })
