// The toy in a worker whose engine installs tables without an exchange: who is later overwrites the table of who was first. The pause
// between the look and the write makes sure that workers meet there.
const exchange = Atomics.compareExchange
const sleep = new Int32Array(new SharedArrayBuffer(4))
let left = 2
Atomics.compareExchange = (words, at, expected, value) => {
  const before = words[at]
  // a lock's word becomes 1; a table descriptor never is
  if (left > 0 && expected === 0 && value !== 1 && before === 0) {
    left--
    Atomics.wait(sleep, 0, 0, 100)
  } else if (value === 1 || before !== expected) return exchange.call(Atomics, words, at, expected, value)
  words[at] = value
  return expected
}

export { toy } from '../../dist/toy.js'
