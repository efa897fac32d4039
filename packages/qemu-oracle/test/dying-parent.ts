/** Starts a child that would live for minutes, tells its process id, and dies as it is told to. */
import { spawnKilled } from '../src/machine/child.ts'

const [way] = process.argv.slice(2)
const child = spawnKilled('/bin/sh', ['-c', 'trap "" HUP INT TERM; exec /bin/sleep 300'])
process.stdout.write(`${child.pid}\n`, () => {
  if (way === 'exit') process.exit(0)
  if (way === 'exception') throw new Error('on purpose')
  if (way === 'rejection') void Promise.reject(new Error('on purpose'))
})
// until a signal comes
setInterval(() => {}, 1000)
