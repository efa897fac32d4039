#!/usr/bin/env node
/** The command `iopt`. */
import { nodeIo } from './io.ts'
import { main } from './main.ts'

// stdout is written synchronously; this is for a pipe that closes while nothing is
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => process.exit(0))
process.exitCode = await main(process.argv.slice(2), nodeIo())
