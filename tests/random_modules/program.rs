//! Random programs made of loops: nested, left and repeated from any depth by `br`, `br_if` and `br_table`, with values carried in
//! locals, in memory and on the parameters of their blocks. Loops are where an optimizer moves and copies most (loop latches, code
//! before and behind a loop), and the modules of `generate` have few that run more than once.
//!
//! Every program ends: each branch back to a loop's head passes that loop's counter, which was set when the loop was entered; and
//! what calls itself does so with a smaller number. Three of four never trap, so that also the fuel they take is defined; the others come
//! to the ends of their memory and their table, and divide by and convert what they have. `loops` runs them.

use crate::generate::Random;
use std::fmt::Write;

/// Statements of a function, and how deep they nest.
const STATEMENTS: usize = 28;
const DEPTH: usize = 5;
/// Operators of an expression, at most.
const OPERATORS: usize = 5;

/// Variables of either type. Those of loops, `$n0` and so on, are apart: nothing else writes them.
const VARIABLES: usize = 4;

#[derive(Clone, Copy, PartialEq)]
enum Type {
    I32,
    I64,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Type::I32 => "i32",
            Type::I64 => "i64",
        }
    }
}

/// What a branch may lead to.
struct Label {
    name: String,
    /// The values that a branch carries: a loop's parameters, a block's results.
    carries: Vec<Type>,
    /// Of a loop whose counter is counted before the branch and not at its head.
    counter: Option<String>,
}

/// Writes one module.
struct Writer {
    random: Random,
    text: String,
    labels: Vec<Label>,
    /// Statements that the function may still have.
    left: usize,
    /// Names that were given out.
    names: usize,
    /// Functions that may be called: those that are written already.
    callable: usize,
    /// The counters of this function's loops.
    counters: Vec<String>,
    /// Operators may trap.
    may_trap: bool,
}

/// Whether a program's operators may trap.
pub fn may_trap(seed: u64) -> bool {
    seed % 4 == 3
}

/// The text of a program. It exports one function three times, so that it is called with three arguments.
pub fn program(seed: u64) -> String {
    let mut writer = Writer {
        random: Random::new(seed ^ 0x1009),
        text: String::new(),
        labels: Vec::new(),
        left: 0,
        names: 0,
        callable: 0,
        counters: Vec::new(),
        may_trap: may_trap(seed),
    };
    if writer.once_in(2) {
        writer.recursive_function();
    }
    for _ in 0..2 + writer.random.below(2) {
        writer.function();
    }
    let last = writer.callable - 1;
    let elements: String = (0..last).map(|at| format!(" $f{at}")).collect();
    format!(
        "(module\n  (memory (export \"memory\") 1)\n  (global $g (export \"g\") (mut i64) (i64.const 7))\n  \
         (global $h (export \"h\") (mut i32) (i32.const -2))\n  (type $t (func (param i32 i64) (result i32 i64)))\n  \
         (table {last} {} funcref)\n  (elem (i32.const 0) func{elements})\n{}  \
         (export \"a\" (func $f{last})) (export \"b\" (func $f{last})) (export \"c\" (func $f{last})))\n",
        last + 1,
        writer.text
    )
}

impl Writer {
    fn once_in(&mut self, n: usize) -> bool {
        self.random.below(n) == 0
    }

    fn name(&mut self, kind: &str) -> String {
        self.names += 1;
        format!("${kind}{}", self.names)
    }

    fn line(&mut self, depth: usize, line: &str) {
        let _ = writeln!(self.text, "{:1$}{line}", "", 2 * depth + 2);
    }

    fn function(&mut self) {
        // What calls others in its loops is the last; those that are called are small.
        self.left = if self.callable == 0 { STATEMENTS / 4 } else { STATEMENTS };
        let before = std::mem::take(&mut self.text);
        self.statements(1, 3 + self.left / 4);
        let results = self.values(&[Type::I32, Type::I64]);
        self.line(1, &format!("(return {results})"));
        self.end_function(before);
    }

    /// One that calls itself with a smaller number, as it begins or in the middle of what it does, unless the number is small.
    fn recursive_function(&mut self) {
        self.left = STATEMENTS / 4;
        let before = std::mem::take(&mut self.text);
        let (number, quick) = (self.name("n"), self.values(&[Type::I32, Type::I64]));
        // Twice, it would be called too often with more.
        let (times, largest) = if self.once_in(3) { (2, 3) } else { (1, 9) };
        self.line(1, &format!("(if (i32.lt_s (local.get $i32_0) (i32.const 2)) (then (return {quick})))"));
        self.line(1, &format!("(local.set {number} (i32.and (local.get $i32_0) (i32.const {largest})))"));
        self.counters.push(number.clone());
        for by in 1..=times {
            self.statements(1, 3);
            let args = format!("(i32.sub (local.get {number}) (i32.const {by})) {}", self.expression(Type::I64, 2));
            if by == times && self.once_in(4) {
                self.line(1, &format!("(return_call $f{} {args})", self.callable));
                return self.end_function(before);
            }
            let (low, high) = (self.variable(Type::I32), self.variable(Type::I64));
            self.line(1, &format!("(call $f{} {args}) (local.set {high}) (local.set {low})", self.callable));
        }
        self.statements(1, 3);
        let results = self.values(&[Type::I32, Type::I64]);
        self.line(1, &format!("(return {results})"));
        self.end_function(before);
    }

    /// Puts a head before the body that has been written, and both behind the functions before.
    fn end_function(&mut self, before: String) {
        let (body, counters) = (std::mem::replace(&mut self.text, before), std::mem::take(&mut self.counters));
        let variables = |ty: &str| (1..VARIABLES).map(|at| format!(" (local ${ty}_{at} {ty})")).collect::<String>();
        let counters: String = counters.iter().map(|name| format!(" (local {name} i32)")).collect();
        let header = format!(
            "(func $f{} (param $i32_0 i32) (param $i64_0 i64) (result i32 i64)\n   {}{}{counters}",
            self.callable,
            variables("i32"),
            variables("i64"),
        );
        self.line(0, &header);
        self.text += &body;
        self.line(0, ")");
        self.callable += 1;
    }

    fn statements(&mut self, depth: usize, most: usize) {
        for _ in 0..1 + self.random.below(most) {
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            self.statement(depth);
        }
    }

    fn statement(&mut self, depth: usize) {
        match self.random.below(if depth < DEPTH { 18 } else { 8 }) {
            0 | 1 => self.assignment(depth),
            2 | 3 => self.store(depth),
            4 => self.call(depth),
            5 | 6 => self.branch(depth),
            7 => self.branch_table(depth),
            8 | 9 => self.condition(depth),
            10 => self.block(depth),
            11 | 12 => self.held(depth),
            _ => self.repeat(depth),
        }
    }

    fn variable(&mut self, ty: Type) -> String {
        format!("${}_{}", ty.name(), self.random.below(VARIABLES))
    }

    fn some_type(&mut self) -> Type {
        if self.once_in(3) { Type::I64 } else { Type::I32 }
    }

    fn assignment(&mut self, depth: usize) {
        if self.once_in(6) {
            let value = self.expression(Type::I64, OPERATORS);
            return self.line(depth, &format!("(global.set $g {value})"));
        }
        if self.once_in(6) {
            let value = self.expression(Type::I32, 2);
            return self.line(depth, &format!("(global.set $h (i32.add (global.get $h) {value}))"));
        }
        let ty = self.some_type();
        let (variable, value) = (self.variable(ty), self.expression(ty, OPERATORS));
        self.line(depth, &format!("(local.set {variable} {value})"));
    }

    /// An address in the first two thousand bytes, so that loads see what was stored.
    fn address(&mut self, operators: usize) -> String {
        if self.may_trap && self.once_in(8) {
            // Around the end of the memory.
            let (by, index) = (self.random.below(4), self.expression(Type::I32, operators));
            return format!(
                "(i32.add (i32.const 0xffa0) (i32.shl (i32.and {index} (i32.const 0xf)) (i32.const {by})))"
            );
        }
        if self.once_in(3) {
            return self.element_address(operators);
        }
        format!("(i32.and {} (i32.const 0x7f8))", self.expression(Type::I32, operators))
    }

    /// As of an array's element, which machines add up as they access it: base and shifted index, either of which a variable may keep.
    fn element_address(&mut self, operators: usize) -> String {
        let base = format!("(i32.and {} (i32.const 0x3f8))", self.expression(Type::I32, operators / 2));
        let base = self.maybe_kept(Type::I32, base);
        let index = format!("(i32.and {} (i32.const 0x7f))", self.expression(Type::I32, operators / 2));
        let index = self.scaled(Type::I32, index, 4);
        let sum = self.sum(Type::I32, base, index);
        self.maybe_kept(Type::I32, sum)
    }

    /// A variable takes it as well, one time in three.
    fn maybe_kept(&mut self, ty: Type, value: String) -> String {
        if self.once_in(3) { format!("(local.tee {} {value})", self.variable(ty)) } else { value }
    }

    /// Times a power of two: one of the first `powers`. All things in it may be kept.
    fn scaled(&mut self, ty: Type, value: String, powers: usize) -> String {
        let value = self.maybe_kept(ty, value);
        let shifted = format!("({0}.shl {value} ({0}.const {1}))", ty.name(), self.random.below(powers));
        self.maybe_kept(ty, shifted)
    }

    fn sum(&mut self, ty: Type, left: String, right: String) -> String {
        let (left, right) = if self.once_in(2) { (left, right) } else { (right, left) };
        format!("({}.add {left} {right})", ty.name())
    }

    /// Where an access is from its address on.
    fn offset(&mut self) -> String {
        if self.once_in(2) { String::new() } else { format!("offset={} ", self.random.below(2000)) }
    }

    fn store(&mut self, depth: usize) {
        let (operator, ty) =
            [("i32.store8", Type::I32), ("i32.store", Type::I32), ("i64.store", Type::I64)][self.random.below(3)];
        let (offset, address, value) = (self.offset(), self.address(2), self.expression(ty, OPERATORS));
        self.line(depth, &format!("({operator} {offset}{address} {value})"));
    }

    fn call(&mut self, depth: usize) {
        if self.callable == 0 {
            return self.assignment(depth);
        }
        let callee = self.random.below(self.callable);
        let args = format!("{} {}", self.expression(Type::I32, 2), self.expression(Type::I64, 2));
        let (low, high) = (self.variable(Type::I32), self.variable(Type::I64));
        let call = match self.once_in(3) {
            false => format!("(call $f{callee} {args})"),
            true => {
                let (past, index) = (usize::from(self.may_trap && self.once_in(4)), self.expression(Type::I32, 2));
                format!("(call_indirect (type $t) {args} (i32.rem_u {index} (i32.const {})))", self.callable + past)
            }
        };
        self.line(depth, &format!("{call} (local.set {high}) (local.set {low})"));
    }

    /// Values for a branch, as operands.
    fn values(&mut self, types: &[Type]) -> String {
        types.iter().map(|&ty| self.expression(ty, 2)).collect::<Vec<_>>().join(" ")
    }

    /// Takes values from the stack, the last first.
    fn take(&mut self, depth: usize, types: &[Type]) {
        for &ty in types.iter().rev() {
            let line = match self.once_in(4) {
                true => "(drop)".to_string(),
                false => format!("(local.set {})", self.variable(ty)),
            };
            self.line(depth, &line);
        }
    }

    /// A conditional branch to a label, or the way out of the function.
    fn branch(&mut self, depth: usize) {
        let condition = self.expression(Type::I32, 3);
        if self.labels.is_empty() || self.once_in(12) {
            let values = self.values(&[Type::I32, Type::I64]);
            return self.line(depth, &format!("(if (i32.eq {condition} (i32.const 3)) (then (return {values})))"));
        }
        // The innermost ones most often, as in programs that people write.
        let nearest = if self.once_in(2) { self.labels.len() } else { self.labels.len().min(2) };
        let label = &self.labels[self.labels.len() - 1 - self.random.below(nearest)];
        let (name, carries, counter) = (label.name.clone(), label.carries.clone(), label.counter.clone());
        // Who counts before the branch branches only while something is left.
        let condition = match counter {
            Some(counter) => format!(
                "(i32.and (i32.ne {condition} (i32.const 0)) (i32.gt_s (local.tee {counter} (i32.sub (local.get {counter}) \
                 (i32.const 1))) (i32.const 0)))"
            ),
            None => condition,
        };
        let values = self.values(&carries);
        if self.once_in(3) {
            // As an unconditional branch within an `if`, with other statements before it.
            self.line(depth, &format!("(if {condition} (then"));
            self.statements_that_fall_through(depth + 1);
            self.line(depth, &format!("(br {name} {values})"));
            if self.once_in(2) {
                self.line(depth, ") (else");
                self.statements(depth + 1, 3);
            }
            self.line(depth, "))");
        } else {
            self.line(depth, &format!("(br_if {name} {values} {condition})"));
            self.take(depth, &carries);
        }
    }

    fn statements_that_fall_through(&mut self, depth: usize) {
        if self.left > 0 && self.once_in(2) {
            self.left -= 1;
            self.assignment(depth);
        }
    }

    /// A branch by a number, to labels that take what the first of them takes.
    fn branch_table(&mut self, depth: usize) {
        let free = |label: &&Label| label.counter.is_none();
        let Some(carries) = self.labels.iter().rfind(free).map(|label| label.carries.clone()) else {
            return self.store(depth);
        };
        let mut targets: Vec<String> = Vec::new();
        for label in self.labels.iter().filter(free).filter(|label| label.carries == carries) {
            targets.push(label.name.clone());
        }
        let fall_through = self.name("past");
        let block = match carries.is_empty() {
            true => format!("(block {fall_through}"),
            false => format!("(block {fall_through} (result{})", names(&carries)),
        };
        self.line(depth, &block);
        let chosen: Vec<String> = (0..2 + self.random.below(4))
            .map(|_| match self.once_in(2) {
                true => fall_through.clone(),
                false => targets[self.random.below(targets.len())].clone(),
            })
            .collect();
        let (values, index) = (self.values(&carries), self.expression(Type::I32, 3));
        let index = format!("(i32.and {index} (i32.const 7))");
        self.line(depth + 1, &format!("(br_table {} {fall_through} {values} {index}))", chosen.join(" ")));
        self.take(depth, &carries);
    }

    fn condition(&mut self, depth: usize) {
        let condition = self.expression(Type::I32, 3);
        self.line(depth, &format!("(if {condition} (then"));
        self.statements(depth + 1, 3);
        if self.once_in(2) {
            self.line(depth, ") (else");
            self.statements(depth + 1, 3);
        }
        self.line(depth, "))");
    }

    /// Statements above values that stay on the stack meanwhile, and that a branch out of here drops.
    fn held(&mut self, depth: usize) {
        let types: Vec<Type> = (0..1 + self.random.below(3)).map(|_| self.some_type()).collect();
        let values = self.values(&types);
        self.line(depth, &values);
        self.branch(depth + 1);
        self.statements(depth + 1, 2);
        self.take(depth, &types);
    }

    fn carried(&mut self) -> Vec<Type> {
        (0..self.random.below(4).saturating_sub(1)).map(|_| self.some_type()).collect()
    }

    fn block(&mut self, depth: usize) {
        let (name, results) = (self.name("block"), self.carried());
        self.line(depth, &format!("(block {name}{}", signature("result", &results)));
        self.labels.push(Label { name, carries: results.clone(), counter: None });
        self.statements(depth + 1, 4);
        self.labels.pop();
        let values = self.values(&results);
        self.line(depth, &format!("{values})"));
        self.take(depth, &results);
    }

    /// A loop. Its counter is counted at its head, where it leads out of a block around the loop; or before each branch back.
    fn repeat(&mut self, depth: usize) {
        let (head, out, counter) = (self.name("loop"), self.name("out"), self.name("n"));
        // Half of them as C's compilers make them: nothing is carried on the stack, the body is a block, and a branch out of that,
        // which is C's `continue`, leads to the loop's end.
        let as_in_c = self.once_in(2);
        let (params, results) = if as_in_c { (vec![], vec![]) } else { (self.carried(), self.carried()) };
        let at_head = !as_in_c && self.once_in(2);
        self.counters.push(counter.clone());
        let times = 1 + self.random.below(5);
        self.line(depth, &format!("(local.set {counter} (i32.const {times}))"));
        self.line(depth, &format!("(block {out}{}", signature("result", &results)));
        self.labels.push(Label { name: out.clone(), carries: results.clone(), counter: None });
        let values = self.values(&params);
        let types = signature("param", &params) + &signature("result", &results);
        self.line(depth, &format!("{values} (loop {head}{types}"));
        self.take(depth + 1, &params);
        let count = format!("(local.tee {counter} (i32.sub (local.get {counter}) (i32.const 1)))");
        let back =
            Label { name: head.clone(), carries: params.clone(), counter: Some(counter.clone()).filter(|_| !at_head) };
        if at_head {
            let values = self.values(&results);
            self.line(depth + 1, &format!("(br_if {out} {values} (i32.lt_s {count} (i32.const 0)))"));
            self.take(depth + 1, &results);
        }
        self.labels.push(back);
        if as_in_c || self.once_in(4) {
            let next = self.name("next");
            self.line(depth + 1, &format!("(block {next}"));
            self.labels.push(Label { name: next, carries: Vec::new(), counter: None });
            self.statements(depth + 2, 5);
            self.labels.pop();
            self.line(depth + 1, ")");
        } else {
            self.statements(depth + 1, 5);
        }
        // The end: most loops go back from here, in one of the ways that compilers write it.
        let values = self.values(&params);
        match self.random.below(4) {
            0 if at_head => {
                self.line(depth + 1, &format!("(br {head} {values})"));
            }
            1 if at_head => {
                let condition = self.expression(Type::I32, 3);
                self.line(depth + 1, &format!("(if {condition} (then"));
                self.statements_that_fall_through(depth + 2);
                self.line(depth + 1, &format!("(br {head} {values})) (else"));
                self.statements_that_fall_through(depth + 2);
                let values = self.values(&params);
                self.line(depth + 1, &format!("(br {head} {values})))"));
            }
            2 if at_head => {}
            _ => {
                let condition = format!("(i32.gt_s {count} (i32.const 0))");
                self.line(depth + 1, &format!("(br_if {head} {values} {condition})"));
                self.take(depth + 1, &params);
            }
        }
        self.labels.truncate(self.labels.len() - 2);
        let values = self.values(&results);
        self.line(depth, &format!("{values}))"));
        self.take(depth, &results);
    }

    /// An expression of at most so many operators, in text's folded form. It never traps.
    fn expression(&mut self, ty: Type, operators: usize) -> String {
        let name = ty.name();
        if operators == 0 || self.once_in(4) {
            return match self.random.below(4) {
                0 => format!("({name}.const {})", self.random.next() as i32 >> self.random.below(31)),
                1 if ty == Type::I64 => "(global.get $g)".to_string(),
                1 if self.once_in(4) => "(global.get $h)".to_string(),
                1 if !self.counters.is_empty() => {
                    format!("(local.get {})", self.counters[self.random.below(self.counters.len())])
                }
                _ => format!("(local.get {})", self.variable(ty)),
            };
        }
        let left = operators - 1;
        match self.random.below(14) {
            0 if ty == Type::I32 => format!("(i32.wrap_i64 {})", self.expression(Type::I64, left)),
            0 => {
                let sign = ["s", "u"][self.random.below(2)];
                format!("(i64.extend_i32_{sign} {})", self.expression(Type::I32, left))
            }
            1 => {
                const WIDTHS: [&str; 4] = ["", "", "8_s", "16_u"];
                let (width, offset) = (WIDTHS[self.random.below(WIDTHS.len())], self.offset());
                format!("({name}.load{width} {offset}{})", self.address(left / 2))
            }
            2 if ty == Type::I32 => {
                const COMPARISONS: [&str; 5] = ["eq", "ne", "lt_s", "gt_u", "le_u"];
                let (of, comparison) = (self.some_type(), COMPARISONS[self.random.below(COMPARISONS.len())]);
                let operands = self.values_of(of, left / 2);
                format!("({}.{comparison} {operands})", of.name())
            }
            3 => {
                let (operands, condition) = (self.values_of(ty, left / 2), self.expression(Type::I32, left / 2));
                format!("(select {operands} {condition})")
            }
            4 => format!("(local.tee {} {})", self.variable(ty), self.expression(ty, left)),
            5 => {
                let (base, index) = (self.expression(ty, left / 2), self.expression(ty, left / 2));
                let (base, index) = (self.maybe_kept(ty, base), self.scaled(ty, index, 5));
                self.sum(ty, base, index)
            }
            6 => {
                const UNARY: [&str; 5] = ["clz", "ctz", "popcnt", "extend8_s", "extend16_s"];
                format!("({name}.{} {})", UNARY[self.random.below(UNARY.len())], self.expression(ty, left))
            }
            7 => self.cast(ty, left),
            8 => {
                const DIVISIONS: [&str; 4] = ["div_s", "div_u", "rem_s", "rem_u"];
                let operator = DIVISIONS[self.random.below(DIVISIONS.len())];
                let (value, by) = (self.expression(ty, left / 2), self.expression(ty, left / 2));
                match self.may_trap {
                    true => format!("({name}.{operator} {value} {by})"),
                    // Neither zero nor -1.
                    false => format!(
                        "({name}.{operator} {value} ({name}.and ({name}.or {by} ({name}.const 1)) ({name}.const 0xffff)))"
                    ),
                }
            }
            _ => {
                const OPERATORS: [&str; 11] =
                    ["add", "sub", "mul", "and", "or", "xor", "shl", "shr_u", "shr_s", "rotl", "rotr"];
                let operator = OPERATORS[self.random.below(OPERATORS.len())];
                let operands = self.values_of(ty, left / 2);
                format!("({name}.{operator} {operands})")
            }
        }
    }

    /// A number of another type, and back. None of those in between is a NaN.
    fn cast(&mut self, ty: Type, operators: usize) -> String {
        let (name, of, sign) = (ty.name(), self.some_type(), ["s", "u"][self.random.below(2)]);
        let (value, of) = (self.expression(of, operators), of.name());
        match self.random.below(5) {
            0 if ty == Type::I32 => format!("(i32.reinterpret_f32 (f32.convert_{of}_{sign} {value}))"),
            0 => format!("(i64.reinterpret_f64 (f64.convert_{of}_{sign} {value}))"),
            1 => format!("({name}.trunc_sat_f32_{sign} (f32.mul (f32.convert_{of}_s {value}) (f32.const 0.37)))"),
            2 => format!("({name}.trunc_sat_f64_{sign} (f64.sqrt (f64.abs (f64.convert_{of}_{sign} {value}))))"),
            3 if self.may_trap => {
                format!("({name}.trunc_f64_{sign} (f64.div (f64.convert_{of}_s {value}) (f64.const -3)))")
            }
            3 if ty == Type::I64 => format!("(i64.extend32_s {})", self.expression(ty, operators)),
            _ => {
                let bits = format!("(i32.shr_u {} (i32.const 2))", self.expression(Type::I32, operators));
                let i31 = format!("(i31.get_{sign} (ref.cast (ref i31) (ref.i31 {bits})))");
                if ty == Type::I32 { i31 } else { format!("(i64.extend_i32_{sign} {i31})") }
            }
        }
    }

    fn values_of(&mut self, ty: Type, operators: usize) -> String {
        format!("{} {}", self.expression(ty, operators), self.expression(ty, operators))
    }
}

fn names(types: &[Type]) -> String {
    types.iter().map(|ty| format!(" {}", ty.name())).collect()
}

fn signature(kind: &str, types: &[Type]) -> String {
    if types.is_empty() { String::new() } else { format!(" ({kind}{})", names(types)) }
}
