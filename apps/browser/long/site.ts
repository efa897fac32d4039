/** A site on this machine that serves the page, the kit's worker and the formats, all bundled from what the packages' builds made. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename, extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { packagesIn, ROOT } from '../../../scripts/workspace.mjs'

export interface Site {
  readonly url: string
  /** By package folder: the path of a format's module. */
  readonly formats: ReadonlyMap<string, string>
  close(): void
}

/** The built modules of all formats, by the name of their package's folder. */
function builtFormats(): Map<string, string> {
  const packages = packagesIn('packages').flatMap(({ folder, manifest: { ioPgtable } }) => {
    return ioPgtable === undefined ? [] : [[basename(folder), `${ROOT}${folder}/${ioPgtable.format}`] as const]
  })
  return new Map(packages)
}

/** Every file of the site by its path. Page and worker lie a folder deep each: the kit finds its worker at `../dist/worker.js`. */
async function bundled(formats: ReadonlyMap<string, string>): Promise<Map<string, Uint8Array>> {
  const { outputFiles } = await build({
    entryPoints: {
      'page/page': fileURLToPath(new URL('../src/page.ts', import.meta.url)),
      'dist/worker': `${ROOT}packages/conformance/dist/worker.js`,
      ...Object.fromEntries([...formats].map(([name, path]) => [`formats/${name}`, path])),
    },
    chunkNames: 'chunks/[name]-[hash]',
    outdir: '/',
    bundle: true,
    splitting: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    logLevel: 'error',
  })
  return new Map(outputFiles.map(({ path, contents }) => [path, contents]))
}

/** Two more headers let pages share memory with their workers; `policy` is the content security policy. */
function headers(path: string, policy: string): Record<string, string> {
  return {
    'content-type': extname(path) === '.js' ? 'text/javascript' : 'text/html',
    'content-security-policy': policy,
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
    'cross-origin-resource-policy': 'same-origin',
  }
}

/** Serves the site on a free port of the loopback interface. */
export async function openSite(policy: string): Promise<Site> {
  const formats = builtFormats()
  const files = await bundled(formats)
  files.set('/', new TextEncoder().encode('<!doctype html><title>io-pgtable</title><script type="module" src="/page/page.js"></script>'))
  const server: Server = createServer(({ url = '/' }, response) => {
    const body = files.get(url)
    response.writeHead(body === undefined ? 404 : 200, headers(url, policy)).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    formats: new Map([...formats.keys()].map((name) => [name, `/formats/${name}.js`])),
    close: () => void server.close(),
  }
}
