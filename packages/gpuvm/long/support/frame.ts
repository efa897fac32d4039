/**
 * Two programs on a GPU that has one slot for an address space: buffers come, are split, replaced, evicted, and grow when a job gets there.
 */
import { Prot } from '@io-pgtable/core'
import { copy, evict, expects, fill, KiB, MiB, RW, restore, type Scenario, stepsOn } from './steps.ts'

const DATA = RW | Prot.NOEXEC
const VIEWER = 0x4000_0000
const game = stepsOn('game')
const viewer = stepsOn('viewer')

export const FRAME: Scenario = {
  slots: 1,
  buffers: {
    commands: { size: 64 * KiB },
    shaders: { size: 256 * KiB },
    textures: { size: 4 * MiB, pieces: 64 * KiB },
    frame: { size: 4 * MiB },
    overlay: { size: MiB },
    heap: { size: 2 * MiB, pieces: 64 * KiB },
    photo: { size: MiB },
  },
  vms: [
    { name: 'game', start: 0, size: 16 * MiB, kernel: { at: 15 * MiB, size: MiB } },
    { name: 'viewer', start: VIEWER, size: 8 * MiB },
  ],
  steps: [
    game.map('commands', 0x1_0000, 64 * KiB),
    game.map('shaders', 0x4_0000, 256 * KiB, { prot: Prot.READ }),
    // its memory is in pieces of 64 KiB
    game.map('textures', MiB, 3 * MiB, { prot: DATA }),
    // contiguous and aligned: large pages
    game.map('frame', 8 * MiB, 4 * MiB, { prot: DATA }),
    // clears the frame, and draws a texture into it
    game.job([fill(8 * MiB, 4 * MiB, 0x11), fill(MiB, 3 * MiB, 0x22), copy(9 * MiB, 2 * MiB, 64 * KiB), expects(9 * MiB, 64 * KiB, 0x22)]),
    // 6: in the middle of the frame; what is left of it are two mappings, and a large page is cut
    game.map('overlay', 0x90_1000, 0xf_e000),
    // around the overlay the frame is as it was
    game.job([
      expects(0x90_0000, 4 * KiB, 0x22),
      expects(0x90_1000, 4 * KiB, 0),
      fill(0x90_1000, 0xf_e000, 0x33),
      expects(0xa0_0000, 2 * MiB, 0x11),
    ]),
    game.unmap(0x20_0000, 0x18_8000),
    // the same as before: every descriptor is kept
    game.map('textures', MiB, 512 * KiB, { prot: DATA }),
    // 10 to 13: into the kernel's range, behind the end, of no size, more than the buffer has
    game.map('frame', 0xef_f000, 8 * KiB, { refused: 'EINVAL' }),
    game.map('frame', 0x100_0000, 4 * KiB, { refused: 'ERANGE' }),
    game.map('overlay', 0xd0_0000, 0, { refused: 'EINVAL' }),
    game.map('overlay', 0xd0_0000, 2 * MiB, { refused: 'ERANGE' }),
    // 15: three faults, each mapped and tried again
    game.heap('heap', 0xd0_0000, MiB, 64 * KiB),
    game.job([fill(0xd0_0000, 150 * KiB, 0x44), expects(0xd0_0000, 150 * KiB, 0x44)]),
    // shaders are not to be written; nothing is there
    game.faultingJob([fill(0x4_0000, 4 * KiB, 0x55)]),
    game.faultingJob([expects(0xe8_0000, 4 * KiB, 0)]),
    viewer.map('photo', VIEWER, MiB),
    // the game's frame, seen by another program
    viewer.map('frame', VIEWER + 2 * MiB, 4 * MiB),
    // 20: there is one slot, and the game loses its
    viewer.job([fill(VIEWER, MiB, 0x66), copy(VIEWER + 3 * MiB, VIEWER, MiB), expects(VIEWER + 2 * MiB, MiB, 0x11)]),
    evict('frame'),
    game.faultingJob([expects(0xa0_0000, 4 * KiB, 0x11)]),
    // other memory, the same contents
    restore('frame'),
    game.job([expects(0xa0_0000, 2 * MiB, 0x11), expects(0x90_1000, 0xf_e000, 0x33)]),
    // what the viewer drew is in the game's frame
    viewer.job([expects(VIEWER + 3 * MiB, MiB, 0x66)]),
  ],
}
