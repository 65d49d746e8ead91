// What the driver's case `kernel` does, in V8: `node --no-liftoff kernel.mjs MODULE N CHECKSUM MILLISECONDS`. Prints the least
// time of one `run(N)`, each of which must give CHECKSUM.
import { readFileSync } from "node:fs";

const [path, n, checksum, milliseconds] = process.argv.slice(2);
const { run } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(path))).exports;
const expected = BigInt.asIntN(64, BigInt(`0x${checksum}`));
const MIN_ROUNDS = 3;

let least = Infinity;
const started = process.hrtime.bigint();
for (let round = 0; round < MIN_ROUNDS || process.hrtime.bigint() - started < milliseconds * 1e6; round++) {
  const start = process.hrtime.bigint();
  const result = run(Number(n));
  const spent = Number(process.hrtime.bigint() - start);
  if (result !== expected) throw new Error(`wrong checksum: ${BigInt.asUintN(64, result).toString(16)}, natively ${checksum}`);
  if (spent < least) least = spent;
}
console.log(JSON.stringify({ ns: least }));
