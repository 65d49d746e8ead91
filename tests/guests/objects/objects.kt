// Makes, links, drops and casts many objects: the same program as objects.py and objects.mbt, which print the same.
// What it must print is in ../inputs/objects.expected.

class Random(private var state: Long) {
    fun below(limit: Int): Int {
        state = state * 16807 % 2147483647
        return (state % limit).toInt()
    }
}

fun checksum(numbers: List<Int>): Int {
    var total = 0
    for (number in numbers) total = (total * 31 + number) % 1000007
    return total
}

fun shown(holds: Boolean) = if (holds) "True" else "False"

// ---- Sorting: lists that are made and dropped

fun merge(left: List<Int>, right: List<Int>): List<Int> {
    val merged = mutableListOf<Int>()
    var i = 0
    var j = 0
    while (i < left.size && j < right.size) merged.add(if (left[i] <= right[j]) left[i++] else right[j++])
    while (i < left.size) merged.add(left[i++])
    while (j < right.size) merged.add(right[j++])
    return merged
}

fun mergeSort(numbers: List<Int>): List<Int> {
    if (numbers.size < 2) return numbers
    val middle = numbers.size / 2
    return merge(mergeSort(numbers.take(middle)), mergeSort(numbers.drop(middle)))
}

fun sorting() {
    val random = Random(1)
    val numbers = List(4000) { random.below(1000000) }
    val ours = mergeSort(numbers)
    val same = ours == numbers.sorted()
    println("sorting ${ours[0]} ${ours[3999]} ${checksum(ours)} ${shown(same)}")
}

// ---- Words: strings as the keys of a map

fun words() {
    val random = Random(2)
    val syllables = listOf("ka", "lo", "mi", "ne", "ru", "sta", "to", "vi")
    val counts = HashMap<String, Int>()
    repeat(3000) {
        var word = ""
        repeat(1 + random.below(4)) { word += syllables[random.below(8)] }
        counts[word] = (counts[word] ?: 0) + 1
    }
    val best = counts.entries.sortedWith(compareBy({ -it.value }, { it.key })).first()
    val letters = counts.entries.sumOf { it.key.length * it.value }
    println("words ${counts.size} ${counts.values.sum()} $letters ${best.key} ${best.value}")
}

// ---- Closures

fun adder(step: Int): (Int) -> Int = { it + step }

fun counter(): () -> Int {
    var count = 0
    return { ++count }
}

fun closures() {
    val value = (0 until 1000).map(::adder).fold(0) { value, step -> step(value) }
    val first = counter()
    val second = counter()
    repeat(10) { first() }
    second()
    println("closures $value ${first()} ${second()}")
}

// ---- Trees that are built and dropped beside one that stays

class Tree(val left: Tree?, val right: Tree?)

fun grow(depth: Int): Tree = if (depth == 0) Tree(null, null) else Tree(grow(depth - 1), grow(depth - 1))

fun size(tree: Tree): Int = if (tree.left == null) 1 else 1 + size(tree.left) + size(tree.right!!)

fun trees() {
    val stays = grow(15)
    var total = 0
    for (depth in 4..14) repeat(1 shl (14 - depth)) { total += size(grow(depth)) }
    println("trees ${size(stays)} $total")
}

// ---- A splay tree: old objects that are relinked all the time

class Splay(val key: Int, val text: String) {
    var left: Splay? = null
    var right: Splay? = null
}

fun splay(root: Splay, key: Int): Splay {
    val header = Splay(0, "")
    var left = header
    var right = header
    var node = root
    while (key != node.key) {
        if (key < node.key) {
            val child = node.left ?: break
            if (key < child.key) {
                node.left = child.right
                child.right = node
                node = child
            }
            val next = node.left ?: break
            right.left = node
            right = node
            node = next
        } else {
            val child = node.right ?: break
            if (key > child.key) {
                node.right = child.left
                child.left = node
                node = child
            }
            val next = node.right ?: break
            left.right = node
            left = node
            node = next
        }
    }
    left.right = node.left
    right.left = node.right
    node.left = header.right
    node.right = header.left
    return node
}

fun insert(tree: Splay?, key: Int): Splay {
    val added = Splay(key, "key $key")
    val root = splay(tree ?: return added, key)
    if (root.key == key) return root
    if (key < root.key) {
        added.left = root.left
        added.right = root
        root.left = null
    } else {
        added.right = root.right
        added.left = root
        root.right = null
    }
    return added
}

fun remove(tree: Splay, key: Int): Splay? {
    val root = splay(tree, key)
    if (root.key != key) return root
    val left = splay(root.left ?: return root.right, key)
    left.right = root.right
    return left
}

fun inOrder(root: Splay?): List<Int> {
    val keys = mutableListOf<Int>()
    val path = ArrayDeque<Splay>()
    var node = root
    while (node != null || path.isNotEmpty()) {
        while (node != null) {
            path.addLast(node)
            node = node.left
        }
        val last = path.removeLast()
        if (last.text == "key ${last.key}") keys.add(last.key)
        node = last.right
    }
    return keys
}

fun splaying() {
    val random = Random(3)
    var root: Splay? = null
    repeat(2000) { root = insert(root, random.below(10000)) }
    repeat(20000) {
        val grown = insert(root, random.below(10000))
        root = remove(grown, random.below(10000))
    }
    val keys = inOrder(root)
    println("splaying ${keys.size} ${keys.first()} ${keys.last()} ${checksum(keys)}")
}

// ---- Dispatch, and casts

open class Shape {
    open fun area() = 0
}

class Square(private val side: Int) : Shape() {
    override fun area() = side * side
}

class Rectangle(private val width: Int, private val height: Int) : Shape() {
    override fun area() = width * height
}

fun dispatch() {
    val random = Random(4)
    val shapes = List<Any>(1000) {
        when (random.below(3)) {
            0 -> Square(random.below(100))
            1 -> Rectangle(random.below(100), random.below(100))
            else -> Shape()
        }
    }
    var total = 0
    var squares = 0
    repeat(20) {
        for (shape in shapes) {
            total += (shape as Shape).area()
            if (shape is Square) squares++
        }
    }
    println("dispatch $total $squares")
}

// ---- Exceptions

class Refused(val limit: Int) : Exception("refused at $limit")

fun dive(depth: Int, limit: Int): Int {
    if (depth == limit) throw Refused(limit)
    return dive(depth + 1, limit) + 1
}

fun guarded(depth: Int, log: MutableList<Int>) {
    try {
        check(depth != 0) { "deep" }
        guarded(depth - 1, log)
    } finally {
        log.add(depth)
    }
}

fun exceptions() {
    var caught = 0
    val depths = mutableListOf(0)
    for (limit in 0 until 300) {
        try {
            dive(0, limit)
        } catch (refused: Refused) {
            depths.add(refused.limit)
            caught++
        }
    }
    val log = mutableListOf(0)
    val outcome = try {
        try {
            guarded(20, log)
            "none"
        } catch (refused: Refused) {
            "wrong"
        }
    } catch (deep: IllegalStateException) {
        if (deep.message == "deep") "right" else "wrong"
    }
    println("exceptions $caught ${checksum(depths)} $outcome ${log.size} ${checksum(log)}")
}

// ---- A long list that stays, whose nodes are given new values

class Link(var value: Box, val next: Link?)

class Box(val number: Int)

fun listThatStays() {
    var first: Link? = null
    for (i in 0 until 50000) first = Link(Box(i), first)
    val links = generateSequence(first) { it.next }
    for (turn in 0 until 3) for (link in links) link.value = Box(link.value.number + turn)
    println("list ${links.count()} ${links.sumOf { it.value.number.toLong() }}")
}

// ---- Strings

fun strings() {
    val random = Random(5)
    val parts = List(3000) { random.below(1000).toString() }
    val text = parts.joinToString(",")
    val back = text.split(",")
    println("strings ${text.length} ${back.size} ${shown(back == parts)} ${text.count { it == '7' }}")
}

// ---- Recursion

fun isEven(n: Int): Boolean = if (n == 0) true else isOdd(n - 1)

fun isOdd(n: Int): Boolean = if (n == 0) false else isEven(n - 1)

fun main() {
    sorting()
    words()
    closures()
    trees()
    splaying()
    dispatch()
    exceptions()
    listThatStays()
    strings()
    println("recursion ${shown(isEven(900))} ${shown(isOdd(900))}")
}
