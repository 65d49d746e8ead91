// JavaScript as a command of WASI 0.2: it prints a report on the text file named by its argument, or on standard input. It also exports
// `values.wit`.
import { getArguments, getEnvironment } from 'wasi:cli/environment@0.2.10';
import { getStdin } from 'wasi:cli/stdin@0.2.10';
import { getDirectories } from 'wasi:filesystem/preopens@0.2.10';

const decoder = new TextDecoder();

/** What comes, until it ends. */
function* chunks(stream) {
  for (;;) {
    try {
      yield stream.blockingRead(65536n);
    } catch (error) {
      if (error.payload?.tag === 'closed') return;
      throw error;
    }
  }
}

function text(stream) {
  let text = '';
  for (const chunk of chunks(stream)) text += decoder.decode(chunk, { stream: true });
  return text + decoder.decode();
}

/** A file of one of the folders that the host gave. */
function read(path) {
  for (const [folder, name] of getDirectories()) {
    if (!path.startsWith(name + '/')) continue;
    const file = folder.openAt({ symlinkFollow: true }, path.slice(name.length + 1), {}, { read: true });
    return text(file.readViaStream(0n));
  }
  throw new Error(`no folder for ${path}`);
}

function* primes() {
  const found = [];
  for (let n = 2; ; n++) {
    if (found.every((prime) => prime * prime > n || n % prime)) {
      found.push(n);
      yield n;
    }
  }
}

const fnv = (text) => [...new TextEncoder().encode(text)].reduce((hash, byte) => Math.imul(hash ^ byte, 16777619) >>> 0, 2166136261);

async function report(text) {
  const words = text.toLowerCase().match(/[a-z]+/g) ?? [];
  const counts = Map.groupBy(words, (word) => word);
  const common = [...counts].map(([word, { length }]) => [word, length]).sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).slice(0, 5);
  console.log('lines', text.split('\n').length - 1, 'words', words.length);
  console.log('common', JSON.stringify(Object.fromEntries(common)));
  console.log('fnv', fnv(text).toString(16));
  let factorial = 1n;
  for (let n = 1n; n <= 100n; n++) factorial *= n;
  console.log('100! ends in', String(factorial).slice(-30));
  let last;
  for (const [index, prime] of primes().take(1000).toArray().entries()) last = [index + 1, prime];
  console.log('prime', ...last);
  console.log('floats', Math.sin(1), Math.exp(0.5), 0.1 + 0.2, new Float32Array([0.1])[0]);
  const begin = Date.now();
  await new Promise((resolve) => setTimeout(resolve, 30));
  console.log('slept', Date.now() - begin >= 30);
}

export const run = {
  async run() {
    const [, path] = getArguments();
    const environment = Object.fromEntries(getEnvironment());
    if (environment.FAIL) throw new Error(environment.FAIL);
    await report(path === undefined ? text(getStdin()) : read(path));
  },
};

export const values = {
  add: (a, b) => (a + b) >>> 0,
  greet: (name) => `hello, ${name}`,
  words(text, order) {
    const found = new Map();
    text.split('\n').forEach((line, index) => {
      for (const word of line.toLowerCase().match(/\w+/g) ?? []) {
        if (!found.has(word)) found.set(word, { text: word, count: 0, lines: new Set() });
        found.get(word).count += 1;
        found.get(word).lines.add(index + 1);
      }
    });
    const words = [...found.values()].sort((a, b) => (a.text < b.text ? -1 : 1));
    if (order === 'descending') words.reverse();
    return words.map((word) => ({ ...word, lines: [...word.lines] }));
  },
  total: (words) => words.reduce((sum, word) => sum + BigInt(word.count), 0n),
  area(shapes) {
    return shapes.reduce((sum, { tag, val }) => {
      const sides = tag === 'point' ? [0, 0] : [val].flat();
      if (Math.min(...sides) < 0) throw `a length of ${Math.min(...sides)}`;
      return sum + (tag === 'circle' ? Math.PI * val ** 2 : sides[0] * sides[1]);
    }, 0);
  },
  backwards: (bytes) => bytes.reverse(),
  find: (pairs, key) => pairs.find(([name]) => name === key)?.[1],
  only(text, { vowels, consonants }) {
    const kind = (letter) => (/[aeiou]/i.test(letter) ? vowels : /[a-z]/i.test(letter) && consonants);
    return [...text].filter(kind);
  },
  fail(message) {
    throw new Error(message);
  },
};
