//! Random loops over the elements of arrays, as compilers leave them for vectorization: with pointers or an index, forwards and backwards, unrolled or not, with
//! counters of all kinds, searches, and sums. The arrays overlap at all distances, and some go on beyond the memory's end or the end of
//! all addresses: then the loop traps, and what it had stored by then is compared.

use crate::generate::Random;
use std::fmt::Write;

/// Loops of a program, at most.
const LOOPS: usize = 4;
/// Arrays of a loop.
const ARRAYS: usize = 3;

/// What a loop's elements are.
#[derive(Clone, Copy, PartialEq)]
struct Element {
    ty: &'static str,
    size: i64,
    load: &'static str,
    store: &'static str,
}

const ELEMENTS: [Element; 12] = [
    Element { ty: "i32", size: 1, load: "load8_u", store: "store8" },
    Element { ty: "i32", size: 1, load: "load8_u", store: "store8" },
    Element { ty: "i32", size: 1, load: "load8_s", store: "store8" },
    Element { ty: "i64", size: 1, load: "load8_u", store: "store8" },
    Element { ty: "i32", size: 2, load: "load16_u", store: "store16" },
    Element { ty: "i32", size: 2, load: "load16_s", store: "store16" },
    Element { ty: "i64", size: 4, load: "load32_s", store: "store32" },
    Element { ty: "i64", size: 4, load: "load32_u", store: "store32" },
    Element { ty: "i32", size: 4, load: "load", store: "store" },
    Element { ty: "i64", size: 8, load: "load", store: "store" },
    Element { ty: "f32", size: 4, load: "load", store: "store" },
    Element { ty: "f64", size: 8, load: "load", store: "store" },
];

struct Writer {
    random: Random,
    text: String,
    /// The type of addresses.
    index: &'static str,
    element: Element,
    copies: i64,
    /// 1 or -1.
    direction: i64,
    /// Whether an index goes through all arrays, and not a pointer through each.
    indexed: bool,
    names: usize,
}

/// The text of a program, which first fills so many bytes of its memory. It exports one function three times, so that it is called with three arguments.
pub fn program(seed: u64, is_64: bool, filled: u32) -> String {
    let index = if is_64 { "i64" } else { "i32" };
    let mut writer = Writer {
        random: Random::new(seed ^ 0xe1e),
        text: String::new(),
        index,
        element: ELEMENTS[0],
        copies: 1,
        direction: 1,
        indexed: false,
        names: 0,
    };
    // All floats or none: then no float is what isn't a number, whose bits an engine may choose.
    let floats = writer.once_in(5);
    for _ in 0..1 + writer.random.below(LOOPS) {
        writer.array_loop(floats);
    }
    let fill = match floats {
        false => "(i64.store (local.get $p0) (local.get $k64))".to_string(),
        true => "(i64.store (local.get $p0) (i64.or (i64.and (local.get $k64) (i64.const 0x000f_ffff_000f_ffff)) (i64.const 0x3ff0_0000_3ff0_0000)))".to_string(),
    };
    let pointers: String = (0..ARRAYS).map(|at| format!(" (local $p{at} {index})")).collect();
    format!(
        "(module
  (memory (export \"memory\") {limits} 1 {most})
  (func $f (param $x i32) (param $y i64) (result i32 i64 f64)
    (local $k32 i32) (local $k64 i64) (local $kf32 f32) (local $kf64 f64) (local $t i32) (local $t64 i64) (local $tf32 f32) (local $tf64 f64)
    (local $s0 i32) (local $s1 i32) (local $w0 i64) (local $w1 i64) (local $n {index}) (local $i {index}) {pointers}
    (local.set $k64 (i64.or (local.get $y) (i64.const 1)))
    (loop $fill
      (local.set $k64 (i64.add (i64.mul (local.get $k64) (i64.const 6364136223846793005)) (i64.const 1442695040888963407)))
      {fill}
      (br_if $fill ({index}.lt_u (local.tee $p0 ({index}.add (local.get $p0) ({index}.const 8))) ({index}.const {filled}))))
    (local.set $kf32 (f32.const 0.75)) (local.set $kf64 (f64.const 0.75))
    (local.set $k32 (i32.and (local.get $x) (i32.const {mask})))
{text}    (local.get $s0) (i64.add (local.get $w0) (i64.add (local.get $w1) (i64.add (local.get $t64) (i64.extend_i32_u (i32.add (local.get $t) (local.get $s1))))))
    (f64.add (local.get $tf64) (f64.promote_f32 (local.get $tf32))))
  (export \"a\" (func $f)) (export \"b\" (func $f)) (export \"c\" (func $f)))\n",
        limits = if is_64 { "i64" } else { "" },
        most = if seed.is_multiple_of(3) { "" } else { "1" },
        mask = [-1, 0xff, 0x7f][seed as usize % 3],
        text = writer.text,
    )
}

impl Writer {
    fn once_in(&mut self, n: usize) -> bool {
        self.random.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.random.below(of.len())]
    }

    fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "    {line}");
    }

    fn constant(&self, number: i64) -> String {
        let number = if self.index == "i32" { i64::from(number as i32) } else { number };
        format!("({}.const {number})", self.index)
    }

    /// Where an array begins: most in the middle, some where the memory or the addresses end.
    fn start(&mut self, times: i64) -> i64 {
        let bytes = times * self.copies * self.element.size * self.direction;
        let jitter = self.random.below(41) as i64 - 20;
        match self.random.below(12) {
            0 => 65536 - bytes.max(0) + jitter,
            1 if self.direction < 0 => 65536 - self.element.size + jitter / 8,
            1 => -bytes.abs() + jitter,
            2 if self.direction < 0 => bytes.abs() + jitter,
            _ => 30000 + jitter * self.pick(&[1, 1, self.element.size, 16]),
        }
    }

    fn array_loop(&mut self, floats: bool) {
        self.element = loop {
            let element = self.pick(&ELEMENTS);
            if element.ty.starts_with('f') == floats {
                break element;
            }
        };
        self.copies = self.pick(&[1, 1, 1, 2, 3, 4, 5, 8]);
        self.direction = self.pick(&[1, 1, 1, -1]);
        self.indexed = self.once_in(2);
        let times = if self.once_in(3) { self.random.below(300) as i64 } else { self.random.below(40) as i64 };
        let starts: Vec<i64> = (0..ARRAYS).map(|_| self.start(times)).collect();
        for (at, start) in starts.iter().enumerate() {
            let start = self.constant(*start);
            self.line(&format!("(local.set $p{at} {start})"));
        }
        let step = self.direction * self.copies * self.element.size;
        // What counts: the index or the first pointer, or a counter of its own.
        self.names += 1;
        let (head, out) = (format!("$head{}", self.names), format!("$out{}", self.names));
        let own = self.once_in(2);
        let (counter, by, from) = match (own, self.indexed) {
            (true, _) => ("$n", self.pick(&[-1, 1, -3, 4]), self.random.below(100) as i64),
            (false, true) => ("$i", step, self.pick(&[0, 0, -step * times, 64])),
            (false, false) => ("$p0", step, starts[0]),
        };
        let index_from = if counter == "$i" { from } else { self.pick(&[0, 16, -16]) };
        let (index_start, from_value) = (self.constant(index_from), self.constant(from));
        self.line(&format!("(local.set $i {index_start})"));
        if own {
            self.line(&format!("(local.set $n {from_value})"));
        }
        let at_top = self.once_in(3);
        // One that is tested at its end goes round once at least; else it would count through all numbers.
        let limit = from + by * times.max(i64::from(!at_top));
        let goes_on = |writer: &mut Self, value: String| {
            let comparison = match writer.random.below(4) {
                0 if by > 0 => "lt_s",
                0 => "gt_s",
                1 if by > 0 => "lt_u",
                1 => "gt_u",
                _ => "ne",
            };
            let limit = writer.constant(limit);
            format!("({}.{comparison} {value} {limit})", writer.index)
        };
        self.line(&format!("(block {out} (loop {head}"));
        if at_top {
            let goes_on = goes_on(self, format!("(local.get {counter})"));
            self.line(&format!("(br_if {out} (i32.eqz {goes_on}))"));
        }
        self.body(&out);
        for at in 0..ARRAYS {
            if !self.indexed && counter != format!("$p{at}") {
                let step = self.constant(step);
                self.line(&format!("(local.set $p{at} ({0}.add (local.get $p{at}) {step}))", self.index));
            }
        }
        if self.indexed && counter != "$i" {
            let step = self.constant(step);
            self.line(&format!("(local.set $i ({0}.add (local.get $i) {step}))", self.index));
        }
        let step = self.constant(by);
        let counted = format!("(local.tee {counter} ({}.add (local.get {counter}) {step}))", self.index);
        if at_top {
            self.line(&format!("(drop {counted}) (br {head})))"));
        } else {
            // A wrong way to zero may take 2^32 turns; a trap or a limit ends it here before.
            let goes_on = goes_on(self, counted);
            self.line(&format!("(br_if {head} {goes_on})))"));
        }
    }

    /// What is done with the elements: the same with each copy, in some order.
    fn body(&mut self, out: &str) {
        let stores = self.random.below(3);
        let values: Vec<(usize, String)> = (0..stores).map(|_| (self.random.below(ARRAYS), self.value(3))).collect();
        let sums = if stores == 0 || self.once_in(3) { 1 + self.random.below(2) } else { 0 };
        let sums: Vec<String> = (0..sums).map(|at| self.reduction(at)).collect();
        let search = self.once_in(4).then(|| self.condition());
        let mut order: Vec<i64> = (0..self.copies).collect();
        if self.once_in(4) {
            order.reverse();
        }
        for copy in order {
            if let Some(search) = &search {
                let search = self.of_copy(search, copy);
                self.line(&format!("(br_if {out} {search})"));
            }
            for (array, value) in &values {
                let (at, value) = (self.of_copy(&format!("@{array} "), copy), self.of_copy(value, copy));
                let at = at.trim_end();
                let Element { ty, store, .. } = self.element;
                let (offset, address) = at.split_once(' ').expect("both are there");
                self.line(&format!("({ty}.{store} {offset} {address} {value})"));
            }
            for sum in &sums {
                let sum = self.of_copy(sum, copy);
                self.line(&sum);
            }
        }
    }

    /// A text with `@k ` for the operands of an access to an array's element, in a copy.
    fn of_copy(&mut self, text: &str, copy: i64) -> String {
        let mut text = text.to_string();
        let moved = copy * self.element.size * self.direction;
        for array in 0..ARRAYS {
            let base = 8 * array as i64;
            let constant = |writer: &Self, sum: &str, by: i64| match by {
                0 => sum.to_string(),
                _ => format!("({}.add {sum} {})", writer.index, writer.constant(by)),
            };
            let pointer = if self.indexed {
                format!("({0}.add (local.get $i) (local.get $p{array}))", self.index)
            } else {
                format!("(local.get $p{array})")
            };
            // As one that may wrap, or that may not.
            let operands = if self.direction > 0 && self.names.is_multiple_of(2) {
                format!("offset={} {pointer} ", base + moved)
            } else {
                let sum = constant(self, &pointer, moved);
                format!("offset={base} {sum} ")
            };
            text = text.replace(&format!("@{array} "), &operands);
        }
        text
    }

    fn element_of(&mut self) -> String {
        let Element { ty, load, .. } = self.element;
        format!("({ty}.{load} @{} )", self.random.below(ARRAYS))
    }

    fn value(&mut self, depth: usize) -> String {
        let Element { ty, size, .. } = self.element;
        if depth == 0 || self.once_in(4) {
            return match self.random.below(5) {
                0 if ty.starts_with('f') => format!("({ty}.const 0.5)"),
                0 => format!("({ty}.const {})", self.random.next() as i32 >> self.random.below(31)),
                1 => format!("(local.get $k{})", if ty.starts_with('f') { ty } else { &ty[1..] }),
                _ => self.element_of(),
            };
        }
        let (x, y) = (self.value(depth - 1), self.value(depth - 1));
        if ty.starts_with('f') {
            // Products become no larger: one of the two is less than two.
            return match self.random.below(6) {
                0 => format!("({ty}.abs {x})"),
                1 => format!("({ty}.neg {x})"),
                2 => format!("({ty}.sqrt ({ty}.abs {x}))"),
                3 => format!("({ty}.mul ({ty}.const 0.25) {x})"),
                4 => format!("(select {x} {y} {})", self.condition()),
                _ => format!(
                    "({ty}.{} ({ty}.mul {x} (local.get $k{ty})) ({ty}.mul {y} ({ty}.const 0.125)))",
                    self.pick(&["add", "sub"])
                ),
            };
        }
        match self.random.below(10) {
            0 => format!("({ty}.mul {x} {y})"),
            1 => format!("({ty}.mul {x} ({ty}.const {}))", self.pick(&[-1, 2, 3, 8, 100])),
            2 => {
                let bits = 8 * size.min(4) as usize;
                let shift = self.pick(&["shl", "shr_u", "shr_s"]);
                format!("({ty}.{shift} {x} ({ty}.const {}))", self.random.below(bits + 2))
            }
            3 => format!("(select {x} {y} {})", self.condition()),
            4 => {
                let (x, y) = (self.element_of(), self.element_of());
                let comparison = self.comparison();
                format!("(select {x} {y} ({ty}.{comparison} {x} {y}))")
            }
            5 if ty == "i32" => self.condition(),
            _ => format!("({ty}.{} {x} {y})", self.pick(&["add", "sub", "and", "or", "xor", "add"])),
        }
    }

    fn comparison(&mut self) -> &'static str {
        self.pick(&["eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u"])
    }

    fn condition(&mut self) -> String {
        let ty = self.element.ty;
        let x = self.element_of();
        let y = match self.random.below(4) {
            0 => self.element_of(),
            1 if !ty.starts_with('f') => format!("(local.get $k{})", &ty[1..]),
            _ if ty.starts_with('f') => format!("({ty}.const 1.25)"),
            _ => format!("({ty}.const {})", self.pick(&[0, 1, 7, 100, 200, -5, 4000])),
        };
        if ty.starts_with('f') {
            return format!("({ty}.{} {x} {y})", self.pick(&["eq", "lt", "gt", "le", "ge"]));
        }
        match self.random.below(6) {
            0 => format!("({ty}.eqz {x})"),
            1 if ty == "i32" => x,
            _ => format!("({ty}.{} {x} {y})", self.comparison()),
        }
    }

    /// A statement that takes an element into a sum or the like.
    fn reduction(&mut self, at: usize) -> String {
        let ty = self.element.ty;
        if ty.starts_with('f') || self.once_in(4) {
            let condition = self.condition();
            return match self.once_in(3) {
                false => format!("(local.set $s{at} (i32.add (local.get $s{at}) {condition}))"),
                true => format!(
                    "(local.set $t{} {})",
                    if ty == "i32" { "" } else { &ty[usize::from(!ty.starts_with('f'))..] },
                    self.element_of()
                ),
            };
        }
        let sum = format!("${}{at}", if ty == "i32" { "s" } else { "w" });
        let value = if self.once_in(2) { self.element_of() } else { self.value(2) };
        match self.random.below(8) {
            0 => {
                let comparison = self.pick(&["lt_s", "gt_s", "lt_u", "ge_u"]);
                let t = if ty == "i32" { "$t" } else { "$t64" };
                format!(
                    "(local.set {sum} (select (local.tee {t} {value}) (local.get {sum}) ({ty}.{comparison} (local.get {t}) (local.get {sum}))))"
                )
            }
            1..=3 => {
                let op = self.pick(&["and", "or", "xor", "sub"]);
                format!("(local.set {sum} ({ty}.{op} (local.get {sum}) {value}))")
            }
            _ => format!("(local.set {sum} ({ty}.add {value} (local.get {sum})))"),
        }
    }
}
