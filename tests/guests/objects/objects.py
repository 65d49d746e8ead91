# Makes, links, drops and casts many objects: the same program as objects.kt and objects.mbt, which print the same.
# What it must print is in ../inputs/objects.expected; CPython prints that, too.


class Random:
    def __init__(self, seed):
        self.state = seed

    def below(self, limit):
        self.state = self.state * 16807 % 2147483647
        return self.state % limit


def checksum(numbers):
    total = 0
    for number in numbers:
        total = (total * 31 + number) % 1000007
    return total


# ---- Sorting: lists that are made and dropped


def merge(left, right):
    merged = []
    i = 0
    j = 0
    while i < len(left) and j < len(right):
        if left[i] <= right[j]:
            merged.append(left[i])
            i += 1
        else:
            merged.append(right[j])
            j += 1
    while i < len(left):
        merged.append(left[i])
        i += 1
    while j < len(right):
        merged.append(right[j])
        j += 1
    return merged


def merge_sort(numbers):
    if len(numbers) < 2:
        return numbers
    middle = len(numbers) // 2
    return merge(merge_sort(numbers[:middle]), merge_sort(numbers[middle:]))


def sorting():
    random = Random(1)
    numbers = []
    for _ in range(4000):
        numbers.append(random.below(1000000))
    ours = merge_sort(numbers)
    numbers.sort()
    same = ours == numbers
    print("sorting", ours[0], ours[3999], checksum(ours), same)


# ---- Words: strings as the keys of a map


def words():
    random = Random(2)
    syllables = ["ka", "lo", "mi", "ne", "ru", "sta", "to", "vi"]
    counts = {}
    for _ in range(3000):
        word = ""
        length = 1 + random.below(4)
        for syllable in range(length):
            word = word + syllables[random.below(8)]
        if word in counts:
            counts[word] = counts[word] + 1
        else:
            counts[word] = 1
    best = ""
    total = 0
    letters = 0
    for word in counts:
        count = counts[word]
        total += count
        letters += len(word) * count
        if best == "" or count > counts[best] or (count == counts[best] and word < best):
            best = word
    print("words", len(counts), total, letters, best, counts[best])


# ---- Closures


def adder(step):
    def add(value):
        return value + step

    return add


def counter():
    count = 0

    def next():
        nonlocal count
        count += 1
        return count

    return next


def closures():
    steps = []
    for i in range(1000):
        steps.append(adder(i))
    value = 0
    for step in steps:
        value = step(value)
    first = counter()
    second = counter()
    for _ in range(10):
        first()
    second()
    print("closures", value, first(), second())


# ---- Trees that are built and dropped beside one that stays


class Tree:
    def __init__(self, left, right):
        self.left = left
        self.right = right


def grow(depth):
    if depth == 0:
        return Tree(None, None)
    return Tree(grow(depth - 1), grow(depth - 1))


def size(tree):
    if tree.left is None:
        return 1
    return 1 + size(tree.left) + size(tree.right)


def trees():
    stays = grow(15)
    total = 0
    for depth in range(4, 15):
        for _ in range(1 << (14 - depth)):
            total += size(grow(depth))
    print("trees", size(stays), total)


# ---- A splay tree: old objects that are relinked all the time


class Splay:
    def __init__(self, key, text):
        self.key = key
        self.text = text
        self.left = None
        self.right = None


def splay(root, key):
    header = Splay(0, "")
    left = header
    right = header
    node = root
    while True:
        if key < node.key:
            child = node.left
            if child is None:
                break
            if key < child.key:
                node.left = child.right
                child.right = node
                node = child
                if node.left is None:
                    break
            right.left = node
            right = node
            node = node.left
        elif key > node.key:
            child = node.right
            if child is None:
                break
            if key > child.key:
                node.right = child.left
                child.left = node
                node = child
                if node.right is None:
                    break
            left.right = node
            left = node
            node = node.right
        else:
            break
    left.right = node.left
    right.left = node.right
    node.left = header.right
    node.right = header.left
    return node


def insert(root, key):
    added = Splay(key, "key " + str(key))
    if root is None:
        return added
    root = splay(root, key)
    if root.key == key:
        return root
    if key < root.key:
        added.left = root.left
        added.right = root
        root.left = None
    else:
        added.right = root.right
        added.left = root
        root.right = None
    return added


def remove(root, key):
    root = splay(root, key)
    if root.key != key:
        return root
    if root.left is None:
        return root.right
    rest = root.right
    root = splay(root.left, key)
    root.right = rest
    return root


def in_order(root):
    keys = []
    path = []
    node = root
    while node is not None or len(path) > 0:
        while node is not None:
            path.append(node)
            node = node.left
        node = path.pop()
        if node.text == "key " + str(node.key):
            keys.append(node.key)
        node = node.right
    return keys


def splaying():
    random = Random(3)
    root = None
    for _ in range(2000):
        root = insert(root, random.below(10000))
    for _ in range(20000):
        root = insert(root, random.below(10000))
        root = remove(root, random.below(10000))
    keys = in_order(root)
    print("splaying", len(keys), keys[0], keys[len(keys) - 1], checksum(keys))


# ---- Dispatch, and casts


class Shape:
    def area(self):
        return 0


class Square(Shape):
    def __init__(self, side):
        self.side = side

    def area(self):
        return self.side * self.side


class Rectangle(Shape):
    def __init__(self, width, height):
        self.width = width
        self.height = height

    def area(self):
        return self.width * self.height


def dispatch():
    random = Random(4)
    shapes = []
    for _ in range(1000):
        kind = random.below(3)
        if kind == 0:
            shapes.append(Square(random.below(100)))
        elif kind == 1:
            shapes.append(Rectangle(random.below(100), random.below(100)))
        else:
            shapes.append(Shape())
    total = 0
    squares = 0
    for _ in range(20):
        for shape in shapes:
            total += shape.area()
            if isinstance(shape, Square):
                squares += 1
    print("dispatch", total, squares)


# ---- Exceptions


def dive(depth, limit, log):
    if depth == limit:
        log.append(limit)
        raise RuntimeError("refused")
    result = dive(depth + 1, limit, log)
    return result + 1


def guarded(depth, log):
    try:
        if depth == 0:
            raise ValueError("deep")
        guarded(depth - 1, log)
    finally:
        log.append(depth)


def exceptions():
    caught = 0
    depths = [0]
    for limit in range(300):
        try:
            dive(0, limit, depths)
        except RuntimeError:
            caught += 1
    log = [0]
    outcome = "none"
    try:
        try:
            guarded(20, log)
        except RuntimeError:
            outcome = "wrong"
    except ValueError:
        outcome = "right"
    print("exceptions", caught, checksum(depths), outcome, len(log), checksum(log))


# ---- A long list that stays, whose nodes are given new values


class Link:
    def __init__(self, value, next):
        self.value = value
        self.next = next


class Box:
    def __init__(self, number):
        self.number = number


def list_that_stays():
    first = None
    for i in range(50000):
        first = Link(Box(i), first)
    for turn in range(3):
        link = first
        while link is not None:
            link.value = Box(link.value.number + turn)
            link = link.next
    total = 0
    length = 0
    link = first
    while link is not None:
        total += link.value.number
        length += 1
        link = link.next
    print("list", length, total)


# ---- Strings


def strings():
    random = Random(5)
    parts = []
    for _ in range(3000):
        parts.append(str(random.below(1000)))
    text = ",".join(parts)
    back = text.split(",")
    digits = 0
    for letter in text:
        if letter == "7":
            digits += 1
    print("strings", len(text), len(back), back == parts, digits)


# ---- Recursion


def is_even(n):
    if n == 0:
        return True
    return is_odd(n - 1)


def is_odd(n):
    if n == 0:
        return False
    return is_even(n - 1)


def recursion():
    print("recursion", is_even(900), is_odd(900))


def main():
    sorting()
    words()
    closures()
    trees()
    splaying()
    dispatch()
    exceptions()
    list_that_stays()
    strings()
    recursion()


main()
