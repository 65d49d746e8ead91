// Compiles one program in MoonBit to garbage-collected WebAssembly:
//
//     node moonbit.cjs PACKAGE SOURCE RESULT
//
// PACKAGE is the unpacked npm package @moonbit/moonpad-monaco, an editor for browsers. It has the compiler, which is called by messages as
// if this were a browser's worker, and MoonBit's core library as data. The library comes compiled for JavaScript only, so the two packages
// of it that programs need at least, `abort` and `builtin`, are compiled here.
const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');

const [folder, source, result] = process.argv.slice(2);

// ---- The compiler: its script calls `addEventListener` and `postMessage` of its global object (Comlink's protocol)

const answers = new Map();
let ask;
globalThis.addEventListener = (_, listener) => {
  ask = listener;
};
globalThis.postMessage = (message) => {
  const { resolve, reject } = answers.get(message.id);
  message.name === 'throw' ? reject(message.value.value) : resolve(message.value);
};
globalThis.require = require;
vm.runInThisContext(fs.readFileSync(path.join(folder, 'dist/moonc-worker.js'), 'utf8'));

function call(name, parameters) {
  return new Promise((resolve, reject) => {
    const id = String(answers.size);
    answers.set(id, { resolve, reject });
    ask({ data: { id, type: 'APPLY', path: [name], argumentList: [{ type: 'RAW', value: parameters }] }, origin: '' });
  });
}

// ---- The core library: `i["/lib/core/FILE"] = NAME` and `NAME = d("BASE64")` in the editor's script

const editor = fs.readFileSync(path.join(folder, 'dist/moonpad-monaco.js'), 'utf8');
const data = new Map(Array.from(editor.matchAll(/(?<![\w$])([\w$]+) = d\("([A-Za-z0-9+/=]*)"\)/g), (m) => [m[1], m[2]]));
const files = new Map(Array.from(editor.matchAll(/i\["(\/lib\/core[^"]*)"\] = ([\w$]+);/g), (m) => [m[1], m[2]]));
const text = (file) => Buffer.from(data.get(files.get(file.replace('moonbit-core:', ''))), 'base64').toString();
const packages = JSON.parse(text('/lib/core/_build/packages.json')).packages;

// The items of a file follow lines `///|`. Tests need packages that the rest does not, and so does what the prelude names beside `builtin`.
function withoutUnneeded(source, name) {
  const isTest = (item) => /^(async )?test\b/m.test(item);
  const isElsewhere = (item) => name.endsWith('/prelude') && /using @(?!builtin\b)/.test(item);
  const items = source.split(/^(?=\/\/\/\|)/m);
  return items.filter((item) => !isTest(item) && !isElsewhere(item)).join('');
}

const compiled = new Map();

async function compile(name, dependencies, sources, root, isMain) {
  const prelude = compiled.get('moonbitlang/core/prelude');
  const indirect = Array.from(compiled).filter(([name]) => !dependencies.includes(name) && !name.endsWith('/prelude'));
  const { core, mi, diagnostics } = await call('buildPackage', {
    mbtFiles: sources,
    miFiles: dependencies.map((name) => [`${name}:${name.split('/').pop()}`, compiled.get(name).mi]),
    indirectImportMiFiles: indirect.map(([name, { mi }]) => [`${name}:${name}`, mi]),
    stdMiFiles: isMain ? [['moonbitlang/core/prelude:prelude', prelude.mi]] : [],
    target: 'wasm-gc',
    pkg: name,
    pkgSources: [`${name}:${root}`],
    isMain,
    errorFormat: 'human',
    enableValueTracing: false,
    noOpt: false,
  });
  if (core === undefined) throw new Error(`${name} does not compile:\n${diagnostics.join('')}`);
  compiled.set(name, { core, mi, root });
}

async function compileCore(name, dependencies) {
  const found = packages.find((candidate) => `${candidate.root}/${candidate.rel}` === name);
  const isForUs = ([, when]) => when.backend.includes('WasmGC') && when.optlevel.includes('Release');
  const sources = Object.entries(found.files)
    .filter(isForUs)
    .map(([file]) => [file, withoutUnneeded(text(file), name)]);
  await compile(name, dependencies, sources, found['root-path'], false);
}

async function main() {
  await compileCore('moonbitlang/core/abort', []);
  await compileCore('moonbitlang/core/builtin', ['moonbitlang/core/abort']);
  await compileCore('moonbitlang/core/prelude', ['moonbitlang/core/builtin']);
  await compile('guest/main', [], [[source, fs.readFileSync(source, 'utf8')]], '.', true);
  const linked = await call('linkCore', {
    coreFiles: Array.from(compiled.values(), ({ core }) => core),
    main: 'guest/main',
    pkgSources: Array.from(compiled, ([name, { root }]) => `${name}:${root}`),
    target: 'wasm-gc',
    exportedFunctions: [],
    outputFormat: 'wasm',
    testMode: false,
    debug: false,
    noOpt: false,
    sourceMap: false,
    sources: {},
    stopOnMain: false,
  });
  fs.writeFileSync(result, linked.result);
}

main().catch((error) => {
  console.error(error.message ?? error);
  process.exit(1);
});
