# Exceptions of Python in MicroPython, whose C throws and catches by exceptions of WebAssembly.


class Refused(Exception):
    def __init__(self, code):
        super().__init__("refused", code)
        self.code = code


def finally_runs_in_order(depth, log):
    try:
        if depth == 0:
            raise Refused(7)
        finally_runs_in_order(depth - 1, log)
    finally:
        log.append(depth)


def order():
    log = []
    try:
        finally_runs_in_order(5, log)
    except Refused as refused:
        print("caught", refused.code, refused.args, log)


def handlers():
    def raised(kind):
        if kind == 0:
            return [][1]
        if kind == 1:
            return {}["key"]
        if kind == 2:
            return 1 // 0
        if kind == 3:
            return int("no number")
        if kind == 4:
            return None.attribute
        return kind

    for kind in range(6):
        try:
            print("value", raised(kind))
        except (IndexError, KeyError) as error:
            print("lookup", type(error).__name__)
        except ArithmeticError as error:
            print("arithmetic", error)
        except Exception as error:
            print("other", type(error).__name__)
        else:
            print("nothing was raised")


def again():
    try:
        try:
            raise ValueError("inner")
        except ValueError:
            raise
    except ValueError as error:
        print("again", error)


def generators():
    def numbers():
        try:
            yield 1
            yield 2
        except Refused as refused:
            yield refused.code
        finally:
            print("closed")

    made = numbers()
    print(next(made), made.throw(Refused(9)))
    try:
        next(made)
    except StopIteration:
        print("stopped")


def endless(n):
    return endless(n + 1) + 1


def recursion():
    for _ in range(3):
        try:
            endless(0)
        except RuntimeError as error:
            print("too deep:", error)


def memory():
    try:
        bytearray(1 << 30)
    except MemoryError:
        print("out of memory")


def many():
    total = 0
    for i in range(20000):
        try:
            if i % 2:
                raise Refused(i)
            total += 1
        except Refused as refused:
            total += refused.code % 3
    print("many", total)


class Context:
    def __enter__(self):
        print("entered")
        return self

    def __exit__(self, kind, value, trace):
        print("left with", kind.__name__, value)
        return True


def contexts():
    with Context():
        raise OSError(2)
    print("after")


order()
handlers()
again()
generators()
recursion()
memory()
many()
contexts()
raise Refused(3)
