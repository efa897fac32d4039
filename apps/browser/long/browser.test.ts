/** Every format under the conformance kit in Chromium, workers included, on the built packages. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { type BrowserContext, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Check, PageReport } from '../src/page.ts'
import { openSite, type Site } from './site.ts'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome']
const executable = (process.env.PATH ?? '')
  .split(delimiter)
  .flatMap((folder) => NAMES.map((name) => join(folder, name)))
  .find((path) => existsSync(path))
const required = process.env.REQUIRE_BROWSER === '1'
const title = executable === undefined && !required ? 'skipped: there is no Chromium on the PATH' : 'in Chromium'

const ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking']

const POLICIES = [
  { name: 'WebAssembly allowed', policy: "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'" },
  { name: 'WebAssembly forbidden by the content security policy', policy: "default-src 'self'" },
]

describe.skipIf(executable === undefined && !required)(title, () => {
  const profile = mkdtempSync(join(tmpdir(), 'io-pgtable-browser-'))
  let context: BrowserContext
  beforeAll(async () => {
    if (executable === undefined) throw new Error(`REQUIRE_BROWSER=1, and none of ${NAMES.join(', ')} is on the PATH`)
    context = await chromium.launchPersistentContext(profile, { executablePath: executable, headless: true, args: ARGUMENTS })
  })
  afterAll(async () => {
    await context?.close()
    rmSync(profile, { recursive: true, force: true })
  })

  describe.each(POLICIES)('$name', ({ policy }) => {
    let site: Site
    let page: Page
    beforeAll(async () => {
      site = await openSite(policy)
      page = await context.newPage()
      await page.goto(site.url)
      await page.waitForFunction('globalThis.check !== undefined')
    })
    afterAll(async () => {
      await page?.close()
      site?.close()
    })

    test('every format keeps every law', async () => {
      expect(await page.evaluate(() => crossOriginIsolated)).toBe(true)
      for (const path of site.formats.values()) {
        const report = await checked(page, new URL(path, site.url).href)
        console.log(`${report.format}: ${report.passed} passed, ${report.failures.length} failed`)
        expect(report.failures, report.format).toEqual([])
        const skipped = report.summary.split('\n').filter((line) => !line.includes('the format only reads'))
        expect(skipped.join('\n')).not.toContain('workers/')
        expect(report.passed).toBeGreaterThan(10)
      }
    })
  })
})

/** The kit's report on the module at `url`. */
function checked(page: Page, url: string): Promise<PageReport> {
  return page.evaluate((module) => (globalThis as unknown as { check: Check }).check(module), url)
}
