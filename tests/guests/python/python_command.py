"""CPython as a command of WASI 0.2: `SCRIPT [ARGUMENT…]` runs a script, `-c CODE [ARGUMENT…]` some code. It also exports `values.wit`.

A component has no standard library beside it: a script finds the modules that were imported when the component was built, which are those
imported here.
"""

import bisect, collections, contextlib, csv, dataclasses, datetime, decimal, fractions, functools, hashlib, heapq, io, itertools
import json, math, os, random, re, statistics, string, struct, sys, textwrap, traceback, zlib

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.exports import values
from wit_world.imports import exit


class Run(exports.Run):
    def run(self) -> None:
        # Of a component, unlike of a process, the first argument is its own name.
        name, *sys.argv = sys.argv
        if sys.argv[0] == "-c":
            code = compile(sys.argv.pop(1), "<code>", "exec")
        else:
            with open(sys.argv[0], encoding="utf-8") as file:
                code = compile(file.read(), sys.argv[0], "exec")
        status = 0
        try:
            exec(code, {"__name__": "__main__"})
        except SystemExit as leaving:
            status = leaving.code or 0
        except BaseException:
            traceback.print_exc()
            status = 1
        sys.stdout.flush()
        sys.stderr.flush()
        if status != 0:
            exit.exit_with_code(status)


class Values(exports.Values):
    def add(self, a: int, b: int) -> int:
        return (a + b) % 2**32

    def greet(self, name: str) -> str:
        return f"hello, {name}"

    def words(self, text: str, order: values.Order) -> list[values.Word]:
        found: dict[str, list[int]] = {}
        for number, line in enumerate(text.splitlines(), 1):
            for word in re.findall(r"\w+", line.lower()):
                found.setdefault(word, []).append(number)
        names = sorted(found, reverse=order == values.Order.DESCENDING)
        return [values.Word(name, len(found[name]), sorted(set(found[name]))) for name in names]

    def total(self, words: list[values.Word]) -> int:
        return sum(word.count for word in words)

    def area(self, shapes: list[values.Shape]) -> float:
        def one(shape: values.Shape) -> float:
            match shape:
                case values.Shape_Circle(radius):
                    sides, area = (radius,), math.pi * radius**2
                case values.Shape_Rectangle((width, height)):
                    sides, area = (width, height), width * height
                case values.Shape_Point():
                    return 0.0
            if min(sides) < 0:
                raise Err(f"a length of {min(sides)}")
            return area

        return math.fsum(map(one, shapes))

    def backwards(self, bytes: bytes) -> bytes:
        return bytes[::-1]

    def find(self, pairs: list[tuple[str, int]], key: str) -> int | None:
        return next((value for name, value in pairs if name == key), None)

    def only(self, text: str, letters: values.Letters) -> list[str]:
        wanted = set()
        if values.Letters.VOWELS in letters:
            wanted |= set("aeiou")
        if values.Letters.CONSONANTS in letters:
            wanted |= set(string.ascii_lowercase) - set("aeiou")
        return [letter for letter in text if letter.lower() in wanted]

    def fail(self, message: str) -> None:
        raise RuntimeError(message)
