"""Reads the text file named by its argument, computes this and that, and prints a report that never varies."""

import collections
import decimal
import fractions
import hashlib
import json
import math
import random
import re
import sys
import zlib

text = open(sys.argv[1], encoding="utf-8").read()
words = re.findall(r"[a-z]+", text.lower())

print("python", "%d.%d" % sys.version_info[:2], "on", sys.platform)
print("lines", text.count("\n"), "words", len(words), "letters", sum(map(len, words)))
print("common", json.dumps(sorted(collections.Counter(words).items(), key=lambda p: (-p[1], p[0]))[:5]))
print("sha256", hashlib.sha256(text.encode()).hexdigest())
print("crc32", "%08x" % zlib.crc32(text.encode()))

sieve = bytearray([1]) * 20000
sieve[0:2] = b"\0\0"
for i in range(2, math.isqrt(len(sieve)) + 1):
    if sieve[i]:
        sieve[i * i :: i] = bytes(len(range(i * i, len(sieve), i)))
print("primes below 20000:", sum(sieve))

print("100! ends in", str(math.factorial(100))[-30:])
print("H(30) =", sum(fractions.Fraction(1, n) for n in range(1, 31)))
decimal.getcontext().prec = 50
print("sqrt 2 =", decimal.Decimal(2).sqrt())
print("floats", repr(math.sin(1.0)), repr(math.exp(0.5)), repr(2.0**0.5), repr(0.1 + 0.2))

rng = random.Random(44)
points = [(rng.random(), rng.random()) for _ in range(2000)]
print("in the circle", sum(x * x + y * y < 1 for x, y in points))

try:
    open("/inputs/missing.txt")
except FileNotFoundError as error:
    print("missing:", error.filename)
