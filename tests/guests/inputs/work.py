"""Works on a drawing, on standard input and in a folder: `work.py DRAWING FOLDER`. The folder is empty before and after. What it prints
never varies."""

import csv, dataclasses, decimal, hashlib, heapq, itertools, json, os, re, statistics, struct, sys

drawing, folder = sys.argv[1:]
data = open(drawing, "rb").read()
text = data.decode()

# A file, and regular expressions.
digest = hashlib.sha256()
with open(drawing, "rb") as file:
    while chunk := file.read(100):
        digest.update(chunk)
assert digest.digest() == hashlib.sha256(data).digest()
print("sha256", digest.hexdigest())
tags = re.findall(r"<(\w+)((?:\s+[\w:-]+=\"[^\"]*\")*)\s*/?>", text)
elements = [{"tag": tag, **dict(re.findall(r"([\w:-]+)=\"([^\"]*)\"", attributes))} for tag, attributes in tags]
print("elements", len(elements), "tags", sorted({element["tag"] for element in elements}))
numbers = [float(number) for number in re.findall(r"(?<![\w#.])-?\d+(?:\.\d+)?(?![\w.])", text)]
print("numbers", len(numbers), "mean", round(statistics.fmean(numbers), 6), "median", statistics.median(numbers))

# Text from data and back.
as_json = json.dumps(elements, indent=2, sort_keys=True)
assert json.loads(as_json) == elements
print("json", len(as_json), hashlib.sha256(as_json.encode()).hexdigest()[:16])


# Generators that wait for each other.
def queens(size, columns=()):
    row = len(columns)
    if row == size:
        yield columns
        return
    for column in range(size):
        if all(column != c and abs(column - c) != row - r for r, c in enumerate(columns)):
            yield from queens(size, (*columns, column))


def averages():
    count, sum = 0, 0
    while True:
        value = yield sum / count if count else None
        count, sum = count + 1, sum + value


solutions = list(queens(7))
print("queens", len(solutions), solutions[0], solutions[-1])
average = averages()
next(average)
print("average", [average.send(value) for value in range(10)][-1])
collatz = lambda n: sum(1 for _ in itertools.takewhile(lambda m: m != 1, itertools.accumulate(itertools.repeat(n), lambda m, _: 3 * m + 1 if m % 2 else m // 2)))
print("collatz", max(range(1, 3000), key=collatz))
merged = heapq.merge(*(range(start, 30000, start) for start in range(2, 12)))
print("merged", sum(value for value, _ in itertools.groupby(merged)))

# Numbers: pi to 60 digits, by a series.
decimal.getcontext().prec = 70


def arctan_of_inverse(n):
    term = total = 1 / decimal.Decimal(n)
    for k in itertools.count(1):
        term /= -n * n
        if not total + term / (2 * k + 1) != total:
            return total
        total += term / (2 * k + 1)


pi = 4 * (4 * arctan_of_inverse(5) - arctan_of_inverse(239))
print("pi", str(pi)[:62])


@dataclasses.dataclass(order=True)
class Line:
    length: int
    number: int
    text: str = dataclasses.field(compare=False)


lines = [Line(len(line.strip()), number, line.strip()) for number, line in enumerate(sys.stdin, 1)]
print("lines", len(lines), "longest", max(lines) if lines else None)

# A folder.
assert os.listdir(folder) == []
table = os.path.join(folder, "table.csv")
with open(table, "w", newline="") as file:
    csv.writer(file).writerows((line.number, line.length, line.text) for line in sorted(lines))
os.mkdir(os.path.join(folder, "inner"))
moved = os.path.join(folder, "inner", "moved.csv")
os.rename(table, moved)
with open(moved, newline="") as file:
    assert sorted(Line(int(length), int(number), text) for number, length, text in csv.reader(file)) == sorted(lines)
with open(moved, "r+b") as file:
    file.seek(0, os.SEEK_END)
    size = file.tell()
    file.write(struct.pack("<Id", 44, 0.5))
    file.seek(size)
    assert struct.unpack("<Id", file.read()) == (44, 0.5)
    file.truncate(size)
assert os.stat(moved).st_size == size and os.listdir(folder) == ["inner"]
print("table", size, sorted(entry.name for entry in os.scandir(os.path.dirname(moved)) if entry.is_file()))
os.remove(moved)
os.rmdir(os.path.dirname(moved))
for path in (moved, "/etc/passwd", folder + "/../words.txt"):
    try:
        open(path)
        print(path, "was opened")
    except OSError as error:
        print(type(error).__name__, end=" ")
print("for what is not there or not given")
