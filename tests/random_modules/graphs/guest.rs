//! The guest of these tests: types of objects, and a function that does with its registers what the host tells it, one operation after the
//! other.
//!
//! `frame` asks `next` for a word: the operation's number in its low byte, and three operands. Its registers are locals, so they are
//! in the frame, or in registers of the machine, whenever `next` collects, suspends the guest, or calls it again.

use std::fmt::Write;

/// What an object is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// The super-type of the following three.
    Base,
    /// The super-type of [`Kind::Leaf`].
    Mid,
    /// A field of each storage type.
    Leaf,
    /// So many fields that it takes several lines of the heap.
    Wide,
    /// Arrays.
    Refs,
    Mids,
    Externs,
    Bytes,
    Vectors,
}

/// What a field or element holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slot {
    /// The number of a struct, by which it is known.
    Number,
    /// A byte, which may change.
    Byte,
    /// These are computed from the number: see [`long_of`].
    Long,
    Vector,
    Any,
    Eq,
    /// Null or a [`Kind::Mid`].
    Mid,
    Extern,
    Exception,
}

pub const STRUCTS: [Kind; 4] = [Kind::Base, Kind::Mid, Kind::Leaf, Kind::Wide];
pub const ARRAYS: [Kind; 5] = [Kind::Refs, Kind::Mids, Kind::Externs, Kind::Bytes, Kind::Vectors];
const WIDE_REFS: usize = 80;
/// Globals of `anyref`; those of other types have one each.
pub const GLOBALS: usize = 3;
/// Elements of the segment of objects, and bytes of that of data.
pub const ITEMS: usize = 4;
pub const DATA: &[u8] = b"0123456789abcdef";
/// The numbers of the structs that there are from the start.
pub const FIRST_NUMBERS: [i32; 2] = [1, 2];

/// The field of a struct that is a 64-bit integer.
pub fn long_of(number: i32) -> i64 {
    i64::from(number) * 0x1_0000_0001
}

/// The field of a struct, or the element of an array, that is a vector.
pub fn vector_of(number: i32) -> u128 {
    let lane = u128::from(long_of(number) as u64);
    lane << 64 | lane
}

impl Kind {
    /// The fields of a struct.
    pub fn fields(self) -> Vec<Slot> {
        let mut fields = vec![Slot::Number, Slot::Any];
        match self {
            Kind::Base => {}
            Kind::Mid => fields.extend([Slot::Byte, Slot::Mid, Slot::Extern]),
            Kind::Leaf => {
                fields.extend([
                    Slot::Byte,
                    Slot::Mid,
                    Slot::Extern,
                    Slot::Vector,
                    Slot::Eq,
                    Slot::Exception,
                    Slot::Long,
                ]);
            }
            Kind::Wide => fields.extend([Slot::Any; WIDE_REFS]),
            _ => unreachable!("arrays have elements"),
        }
        fields
    }

    /// What the elements of an array are.
    pub fn element(self) -> Slot {
        match self {
            Kind::Refs => Slot::Any,
            Kind::Mids => Slot::Mid,
            Kind::Externs => Slot::Extern,
            Kind::Bytes => Slot::Byte,
            Kind::Vectors => Slot::Vector,
            _ => unreachable!("structs have fields"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Base => "$base",
            Kind::Mid => "$mid",
            Kind::Leaf => "$leaf",
            Kind::Wide => "$wide",
            Kind::Refs => "$refs",
            Kind::Mids => "$mids",
            Kind::Externs => "$externs",
            Kind::Bytes => "$bytes",
            Kind::Vectors => "$vectors",
        }
    }

    /// Whether every object of this kind is one of `other`, too.
    pub fn is_a(self, other: Kind) -> bool {
        self == other
            || match other {
                Kind::Base => STRUCTS.contains(&self),
                Kind::Mid => self == Kind::Leaf,
                _ => false,
            }
    }
}

impl Slot {
    fn ty(self) -> &'static str {
        match self {
            Slot::Number => "i32",
            Slot::Byte => "i8",
            Slot::Long => "i64",
            Slot::Vector => "v128",
            Slot::Any => "anyref",
            Slot::Eq => "eqref",
            Slot::Mid => "(ref null $mid)",
            Slot::Extern => "externref",
            Slot::Exception => "exnref",
        }
    }

    /// Where a value of this kind comes from, beside the object in `$a`.
    pub fn source(self) -> Option<Reg> {
        match self {
            Slot::Any | Slot::Eq => Some(Reg::B),
            Slot::Mid => Some(Reg::S),
            Slot::Extern => Some(Reg::X),
            Slot::Exception => Some(Reg::E),
            _ => None,
        }
    }

    /// Where one goes that is read.
    pub fn destination(self) -> Option<Reg> {
        match self {
            Slot::Any | Slot::Eq => Some(Reg::A),
            other => other.source(),
        }
    }

    fn value(self) -> String {
        match self {
            Slot::Number | Slot::Byte => "(local.get $n)".into(),
            Slot::Long => "(i64.mul (i64.extend_i32_s (local.get $n)) (i64.const 0x100000001))".into(),
            Slot::Vector => format!("(i64x2.splat {})", Slot::Long.value()),
            Slot::Eq => "(ref.cast eqref (local.get $b))".into(),
            other => format!("(local.get {})", other.source().expect("a reference").name()),
        }
    }
}

/// A register of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reg {
    A,
    B,
    R0,
    R1,
    R2,
    /// Of a declared type.
    S,
    X,
    Y,
    E,
}

pub const REGS: [Reg; 9] = [Reg::A, Reg::B, Reg::R0, Reg::R1, Reg::R2, Reg::S, Reg::X, Reg::Y, Reg::E];

impl Reg {
    fn name(self) -> &'static str {
        ["$a", "$b", "$r0", "$r1", "$r2", "$s", "$x", "$y", "$e"][self as usize]
    }

    pub fn slot(self) -> Slot {
        match self {
            Reg::S => Slot::Mid,
            Reg::X | Reg::Y => Slot::Extern,
            Reg::E => Slot::Exception,
            _ => Slot::Any,
        }
    }
}

/// Globals beside those of `anyref`.
pub const TYPED_GLOBALS: [Reg; 3] = [Reg::S, Reg::X, Reg::E];

/// What a frame may be told to do. Operands are `$i`, `$j` and `$n`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Op {
    /// Gives `$a` and `$x` back.
    Return,
    /// Calls a frame with `$a`, `$x` and `$s`, whose results are `$a` and `$x` then.
    Call,
    /// The same, with handlers of both tags: fields go to `$a` and `$x`, the exception to `$e`.
    TryCall,
    TailCall,
    /// Throws `$a`, `$x` and `$n`.
    Throw,
    ThrowEmpty,
    /// Throws `$e` again.
    ThrowRef,
    Swap(Reg, Reg),
    Copy(Reg, Reg),
    Null(Reg),
    Integer,
    ToMid,
    FromMid,
    ToExtern,
    FromExtern,
    GlobalGet(usize),
    GlobalSet(usize),
    TypedGet(Reg),
    TypedSet(Reg),
    TableGet,
    TableSet,
    TableFill,
    TableCopy,
    TableInit,
    TableGrow,
    ExternTableGet,
    ExternTableSet,
    New(Kind),
    NewDefault(Kind),
    Get(Kind, usize),
    Set(Kind, usize),
    NewArray(Kind),
    NewArrayDefault(Kind),
    NewArrayFixed(Kind),
    ArrayGet(Kind),
    ArraySet(Kind),
    ArrayFill(Kind),
    /// From `$b` to `$a`.
    ArrayCopy(Kind),
    NewItems,
    InitItems,
    NewData,
    InitData,
    /// So many structs that nothing refers to.
    Garbage,
    /// So many structs in front of `$a`.
    List,
    /// Tells the host what `$a` is.
    See,
    /// Tells it whether `$a` is `$b`.
    Equal,
    /// Gives it all registers.
    Dump,
    /// It keeps `$a`, or gives one back that it keeps.
    Give,
    Take,
    GiveException,
    TakeException,
    /// A value of the host's.
    NewHost,
}

impl Op {
    /// What `$a` has to be.
    pub fn object(self) -> Option<Kind> {
        match self {
            Op::Get(kind, _) | Op::Set(kind, _) => Some(kind),
            Op::ArrayGet(kind) | Op::ArraySet(kind) | Op::ArrayFill(kind) | Op::ArrayCopy(kind) => Some(kind),
            Op::InitItems => Some(Kind::Refs),
            Op::InitData => Some(Kind::Bytes),
            Op::ToMid => Some(Kind::Mid),
            Op::Equal => Some(Kind::Base),
            _ => None,
        }
    }
}

/// All operations; a word has the position.
pub fn ops() -> Vec<Op> {
    let mut ops = vec![
        Op::Return,
        Op::Call,
        Op::TryCall,
        Op::TailCall,
        Op::Throw,
        Op::ThrowEmpty,
        Op::ThrowRef,
        Op::Integer,
        Op::ToMid,
        Op::FromMid,
        Op::ToExtern,
        Op::FromExtern,
        Op::TableGet,
        Op::TableSet,
        Op::TableFill,
        Op::TableCopy,
        Op::TableInit,
        Op::TableGrow,
        Op::ExternTableGet,
        Op::ExternTableSet,
        Op::NewItems,
        Op::InitItems,
        Op::NewData,
        Op::InitData,
        Op::Garbage,
        Op::List,
        Op::See,
        Op::Equal,
        Op::Dump,
        Op::Give,
        Op::Take,
        Op::GiveException,
        Op::TakeException,
        Op::NewHost,
        Op::Swap(Reg::A, Reg::B),
        Op::Swap(Reg::X, Reg::Y),
    ];
    for other in [Reg::B, Reg::R0, Reg::R1, Reg::R2] {
        ops.extend([Op::Copy(Reg::A, other), Op::Copy(other, Reg::A)]);
    }
    ops.extend([Reg::A, Reg::R0, Reg::S, Reg::X, Reg::E].map(Op::Null));
    ops.extend((0..GLOBALS).flat_map(|at| [Op::GlobalGet(at), Op::GlobalSet(at)]));
    ops.extend(TYPED_GLOBALS.into_iter().flat_map(|reg| [Op::TypedGet(reg), Op::TypedSet(reg)]));
    for kind in STRUCTS {
        ops.extend([Op::New(kind), Op::NewDefault(kind)]);
        let changeable = |slot: Slot| slot.source().is_some() || slot == Slot::Byte;
        let fields = kind.fields().into_iter().enumerate().filter(|&(_, slot)| changeable(slot)).map(|(at, _)| at);
        let fields: Vec<usize> = fields.collect();
        // Of many fields some.
        for at in fields.iter().copied().step_by(fields.len().div_ceil(8)) {
            ops.extend([Op::Get(kind, at), Op::Set(kind, at)]);
        }
    }
    for kind in ARRAYS {
        ops.extend([Op::NewArray(kind), Op::NewArrayDefault(kind), Op::NewArrayFixed(kind)]);
        ops.extend([Op::ArraySet(kind), Op::ArrayFill(kind), Op::ArrayCopy(kind)]);
        ops.extend(kind.element().destination().map(|_| Op::ArrayGet(kind)));
    }
    ops
}

const FRAME: &str = "(call $frame (local.get $a) (local.get $x) (local.get $s))";
const RESULTS: &str = "(local.set $x) (local.set $a)";

/// The object in `$a`, as one of this kind.
fn object(kind: Kind) -> String {
    format!("(ref.cast (ref {}) (local.get $a))", kind.name())
}

fn text_of(op: Op) -> String {
    let set_a = |value: &str| format!("(local.set $a {value})");
    match op {
        Op::Return => "(return (local.get $a) (local.get $x))".into(),
        Op::Call => format!("{FRAME} {RESULTS}"),
        Op::TryCall => format!(
            "(block $thrown (result anyref externref i32 exnref)
               (block $empty (result exnref)
                 (try_table (result anyref externref) (catch_ref $thrown $thrown) (catch_all_ref $empty) {FRAME})
                 {RESULTS} (br $again))
               (local.set $e) (call $see (i32.const 101) (i32.const 0)) (br $again))
             (local.set $e) (local.set $n) {RESULTS} (call $see (i32.const 100) (local.get $n))"
        ),
        Op::TailCall => "(return_call $frame (local.get $a) (local.get $x) (local.get $s))".into(),
        Op::Throw => "(throw $thrown (local.get $a) (local.get $x) (local.get $n))".into(),
        Op::ThrowEmpty => "(throw $empty)".into(),
        Op::ThrowRef => "(throw_ref (local.get $e))".into(),
        Op::Swap(a, b) => {
            let (a, b) = (a.name(), b.name());
            format!("(local.get {a}) (local.get {b}) (local.set {a}) (local.set {b})")
        }
        Op::Copy(from, to) => format!("(local.set {} (local.get {}))", to.name(), from.name()),
        Op::Null(reg) => {
            let bottom = match reg.slot() {
                Slot::Extern => "noextern",
                Slot::Exception => "noexn",
                _ => "none",
            };
            format!("(local.set {} (ref.null {bottom}))", reg.name())
        }
        Op::Integer => set_a("(ref.i31 (local.get $n))"),
        Op::ToMid => "(local.set $s (ref.cast (ref null $mid) (local.get $a)))".into(),
        Op::FromMid => set_a("(local.get $s)"),
        Op::ToExtern => "(local.set $x (extern.convert_any (local.get $a)))".into(),
        Op::FromExtern => set_a("(any.convert_extern (local.get $x))"),
        Op::GlobalGet(at) => set_a(&format!("(global.get $g{at})")),
        Op::GlobalSet(at) => format!("(global.set $g{at} (local.get $a))"),
        Op::TypedGet(reg) => format!("(local.set {0} (global.get {0}))", reg.name()),
        Op::TypedSet(reg) => format!("(global.set {0} (local.get {0}))", reg.name()),
        Op::TableGet => set_a("(table.get $table (local.get $i))"),
        Op::TableSet => "(table.set $table (local.get $i) (local.get $a))".into(),
        Op::TableFill => "(table.fill $table (local.get $i) (local.get $a) (local.get $n))".into(),
        Op::TableCopy => "(table.copy $table $table (local.get $i) (local.get $j) (local.get $n))".into(),
        Op::TableInit => "(table.init $table $items (local.get $i) (local.get $j) (local.get $n))".into(),
        Op::TableGrow => "(drop (table.grow $table (local.get $a) (local.get $n)))".into(),
        Op::ExternTableGet => "(local.set $x (table.get $externs (local.get $i)))".into(),
        Op::ExternTableSet => "(table.set $externs (local.get $i) (local.get $x))".into(),
        Op::New(kind) => {
            // The field that is a super-type's is `$a`.
            let values = kind.fields().into_iter().enumerate().map(|(at, slot)| match at {
                1 => "(local.get $a)".into(),
                _ => slot.value(),
            });
            set_a(&format!("(struct.new {} {})", kind.name(), values.collect::<Vec<_>>().join(" ")))
        }
        Op::NewDefault(kind) => {
            let name = kind.name();
            let mut text = set_a(&format!("(struct.new_default {name})"));
            for (at, slot) in kind.fields().into_iter().enumerate() {
                if matches!(slot, Slot::Number | Slot::Byte | Slot::Long | Slot::Vector) {
                    let _ = write!(text, "(struct.set {name} {at} {} {})", object(kind), slot.value());
                }
            }
            text
        }
        Op::Get(kind, at) => match kind.fields()[at] {
            Slot::Byte => format!("(call $see (i32.const 102) (struct.get_u {} {at} {}))", kind.name(), object(kind)),
            slot => {
                let to = slot.destination().expect("it is a reference").name();
                format!("(local.set {to} (struct.get {} {at} {}))", kind.name(), object(kind))
            }
        },
        Op::Set(kind, at) => {
            format!("(struct.set {} {at} {} {})", kind.name(), object(kind), kind.fields()[at].value())
        }
        Op::NewArray(kind) => set_a(&format!("(array.new {} {} (local.get $i))", kind.name(), kind.element().value())),
        Op::NewArrayDefault(kind) => set_a(&format!("(array.new_default {} (local.get $i))", kind.name())),
        Op::NewArrayFixed(kind) => {
            let value = kind.element().value();
            set_a(&format!("(array.new_fixed {} 3 {value} {value} {value})", kind.name()))
        }
        Op::ArrayGet(kind) => {
            let to = kind.element().destination().expect("elements are references").name();
            format!("(local.set {to} (array.get {} {} (local.get $i)))", kind.name(), object(kind))
        }
        Op::ArraySet(kind) => {
            format!("(array.set {} {} (local.get $i) {})", kind.name(), object(kind), kind.element().value())
        }
        Op::ArrayFill(kind) => format!(
            "(array.fill {} {} (local.get $i) {} (local.get $j))",
            kind.name(),
            object(kind),
            kind.element().value()
        ),
        Op::ArrayCopy(kind) => {
            let name = kind.name();
            let from = format!("(ref.cast (ref {name}) (local.get $b))");
            let to = object(kind);
            format!("(array.copy {name} {name} {to} (local.get $i) {from} (local.get $j) (local.get $n))")
        }
        Op::NewItems => set_a("(array.new_elem $refs $items (local.get $i) (local.get $n))"),
        Op::InitItems => {
            let to = object(Kind::Refs);
            format!("(array.init_elem $refs $items {to} (local.get $i) (local.get $j) (local.get $n))")
        }
        Op::NewData => set_a("(array.new_data $bytes $data (local.get $i) (local.get $n))"),
        Op::InitData => {
            let to = object(Kind::Bytes);
            format!("(array.init_data $bytes $data {to} (local.get $i) (local.get $j) (local.get $n))")
        }
        Op::Garbage => "(loop $more
            (call $lose (struct.new $mid (local.get $i) (local.get $b) (i32.const 0) (local.get $s) (local.get $x)))
            (br_if $more (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))"
            .into(),
        Op::List => "(loop $more
            (local.set $a (struct.new $base (local.get $n) (local.get $a)))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $more (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))"
            .into(),
        Op::See => "(call $describe (local.get $a)) (call $see)".into(),
        Op::Equal => "(call $see (i32.const 103)
            (ref.eq (ref.cast eqref (local.get $a)) (ref.cast eqref (local.get $b))))"
            .into(),
        Op::Dump => format!("(call $dump {})", REGS.map(|reg| format!("(local.get {})", reg.name())).join(" ")),
        Op::Give => "(call $give (local.get $a))".into(),
        Op::Take => "(local.set $a (call $take))".into(),
        Op::GiveException => "(call $give_exception (local.get $e))".into(),
        Op::TakeException => "(local.set $e (call $take_exception))".into(),
        Op::NewHost => "(local.set $x (call $new_host))".into(),
    }
}

/// What `describe` says: a number of the kind, which is the position here plus 2; 0 for null, 1 for integers, [`OTHER`] for the rest.
pub const DESCRIBED: [Kind; 9] =
    [Kind::Leaf, Kind::Mid, Kind::Wide, Kind::Base, Kind::Refs, Kind::Mids, Kind::Externs, Kind::Bytes, Kind::Vectors];
pub const OTHER: i32 = 50;

fn describe() -> String {
    let mut text = String::from(
        "(func $describe (param $v anyref) (result i32 i32)
           (if (ref.is_null (local.get $v)) (then (return (i32.const 0) (i32.const 0))))
           (block $other (result anyref)
             (br_on_cast_fail $other anyref i31ref (local.get $v))
             (i31.get_s) (local.set $number) (return (i32.const 1) (local.get $number)))
           (drop)\n",
    );
    for (at, kind) in DESCRIBED.into_iter().enumerate() {
        let (name, number) = (kind.name(), at + 2);
        let get = if ARRAYS.contains(&kind) { "array.len".into() } else { format!("struct.get {name} 0") };
        let _ = writeln!(
            text,
            "(block $not (result anyref)
               (br_on_cast_fail $not anyref (ref {name}) (local.get $v))
               ({get}) (local.set $number) (return (i32.const {number}) (local.get $number)))
             (drop)"
        );
    }
    let text = text.replacen("(result i32 i32)", "(result i32 i32) (local $number i32)", 1);
    text + &format!("(i32.const {OTHER}) (i32.const 0))")
}

fn types() -> String {
    let mut text = String::from("(rec\n");
    for kind in STRUCTS {
        let fields = kind.fields().into_iter().map(|slot| format!("(field (mut {}))", slot.ty()));
        let above = match kind {
            Kind::Base => "",
            Kind::Leaf => "$mid",
            _ => "$base",
        };
        let fields = fields.collect::<Vec<_>>().join(" ");
        let _ = writeln!(text, "(type {} (sub {above} (struct {fields})))", kind.name());
    }
    for kind in ARRAYS {
        let _ = writeln!(text, "(type {} (array (mut {})))", kind.name(), kind.element().ty());
    }
    text + ")\n"
}

/// The module.
pub fn text() -> String {
    let ops = ops();
    let blocks: String = (0..ops.len()).rev().map(|at| format!("(block $op{at}\n")).collect();
    let targets: String = (0..ops.len()).map(|at| format!(" $op{at}")).collect();
    let handlers: String = ops.iter().map(|&op| format!(") {} (br $again)\n", text_of(op))).collect();
    let [first, second] = FIRST_NUMBERS;
    let types = types();
    let describe = describe();
    let data = std::str::from_utf8(DATA).expect("it is text");
    let globals: String =
        (0..GLOBALS).map(|at| format!("(global $g{at} (export \"g{at}\") (mut anyref) (ref.null any))\n")).collect();
    format!(
        r#"(module
{types}
(import "" "next" (func $next (result i64)))
(import "" "see" (func $see (param i32 i32)))
(import "" "dump" (func $dump (param anyref anyref anyref anyref anyref anyref externref externref exnref)))
(import "" "give" (func $give (param anyref)))
(import "" "take" (func $take (result anyref)))
(import "" "give_exception" (func $give_exception (param exnref)))
(import "" "take_exception" (func $take_exception (result exnref)))
(import "" "new_host" (func $new_host (result externref)))
(tag $thrown (export "thrown") (param anyref externref i32))
(tag $empty (export "empty"))
{globals}
(global $s (export "s") (mut (ref null $mid)) (ref.null $mid))
(global $x (export "x") (mut externref) (ref.null extern))
(global $e (export "e") (mut exnref) (ref.null exn))
(global $constant (ref $base) (struct.new $base (i32.const {first}) (ref.i31 (i32.const 5))))
(table $table (export "table") 8 anyref)
(table $externs (export "externs") 8 externref)
(elem $items anyref (ref.i31 (i32.const 7)) (global.get $constant) (ref.null any)
  (struct.new $base (i32.const {second}) (global.get $constant)))
(data $data "{data}")
{describe}
;; Takes what nobody keeps: what has a loop is not inlined, so it is made.
(func $lose (param anyref) (loop $never (br_if $never (i32.const 0))))
(func $frame (export "frame") (param $a anyref) (param $x externref) (param $s (ref null $mid)) (result anyref externref)
  (local $b anyref) (local $r0 anyref) (local $r1 anyref) (local $r2 anyref) (local $y externref) (local $e exnref)
  (local $w i64) (local $i i32) (local $j i32) (local $n i32)
  (loop $again
    {blocks}
    (local.set $w (call $next))
    (local.set $i (i32.wrap_i64 (i64.and (i64.shr_u (local.get $w) (i64.const 8)) (i64.const 0xffff))))
    (local.set $j (i32.wrap_i64 (i64.and (i64.shr_u (local.get $w) (i64.const 24)) (i64.const 0xffff))))
    (local.set $n (i32.wrap_i64 (i64.shr_u (local.get $w) (i64.const 40))))
    (br_table {targets} $op0 (i32.wrap_i64 (i64.and (local.get $w) (i64.const 0xff))))
    {handlers})
  (unreachable)))"#
    )
}
