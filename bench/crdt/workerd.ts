// Bundles a subject with the workloads and starts it in a workerd of its own.
import {readFileSync} from 'node:fs';
import {basename} from 'node:path';
import {fileURLToPath} from 'node:url';
import {build, type Plugin} from 'esbuild';
import {convertV4MiniflareOptions, Log, LogLevel, Miniflare} from 'miniflare';
import {ERROR_LENGTH_MAX, type Host} from './host.ts';
import type {SubjectModule} from './subjects.ts';
import type {Sample} from './workload.ts';

const FOLDER = fileURLToPath(new URL('.', import.meta.url));

/** Workers may not compile Wasm from bytes: the modules travel beside the bundle, compiled. */
function wasmModules(found: Map<string, string>): Plugin {
  return {
    name: 'wasm-modules',
    setup(build) {
      build.onResolve({filter: /\.wasm$/}, async ({path, resolveDir, kind, pluginData}) => {
        if (pluginData === 'resolved') return undefined;
        const resolved = await build.resolve(path, {resolveDir, kind, pluginData: 'resolved'});
        const name = basename(resolved.path);
        found.set(name, resolved.path);
        return {path: `./${name}`, external: true};
      });
      // Loro's builds load their Wasm from a file, a URL or as an ES module, of which workerd knows none. Its web build
      // takes a compiled module.
      build.onResolve({filter: /^loro-crdt$/}, () => ({path: 'loro-crdt', namespace: 'loro-in-workerd'}));
      build.onLoad({filter: /.*/, namespace: 'loro-in-workerd'}, () => ({
        contents: `
          import wasm from 'loro-crdt/web/loro_wasm_bg.wasm';
          import {initSync} from 'loro-crdt/web';
          initSync({module: wasm});
          export * from 'loro-crdt/web';`,
        resolveDir: FOLDER,
      }));
    },
  };
}

export async function startInWorkerd({path, exported}: SubjectModule): Promise<Host> {
  const wasm = new Map<string, string>();
  const {outputFiles} = await build({
    stdin: {
      contents: `
        import {${exported} as subject} from '${path}';
        import {serve} from './in-workerd.ts';
        export default serve(subject);`,
      resolveDir: FOLDER,
      loader: 'ts',
    },
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['cloudflare:*', 'node:*'],
    plugins: [wasmModules(wasm)],
    logLevel: 'error',
  });
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      name: 'bench',
      log: new Log(LogLevel.ERROR),
      cf: false,
      compatibilityDate: '2026-09-01',
      modules: [
        {type: 'ESModule', path: 'worker.mjs', contents: outputFiles[0]!.text},
        ...[...wasm].map(([name, file]) => ({type: 'CompiledWasm' as const, path: name, contents: readFileSync(file)})),
      ],
    }),
  );
  await miniflare.ready;
  return {
    async run(request) {
      const response = await miniflare.dispatchFetch('http://bench/', {method: 'POST', body: JSON.stringify(request)});
      if (!response.ok) throw new Error((await response.text()).slice(0, ERROR_LENGTH_MAX));
      return (await response.json()) as Sample;
    },
    stop: () => miniflare.dispose(),
  };
}
