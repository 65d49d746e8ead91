//! Types, as the specification has them, and values of them by chance.

use ampoule_component::{Val, ValRef};

/// A type of values. Fields are called `f0`, `f1` and so on, cases `c0`, flags `b0`.
#[derive(Clone, Debug)]
pub enum Ty {
    Bool,
    Int {
        bits: u32,
        signed: bool,
    },
    F32,
    F64,
    Char,
    String,
    List(Box<Ty>),
    FixedList(Box<Ty>, u32),
    Map(Box<Ty>, Box<Ty>),
    Record(Vec<Ty>),
    Tuple(Vec<Ty>),
    Variant(Vec<Option<Ty>>),
    Enum(u32),
    Option(Box<Ty>),
    Result(Option<Box<Ty>>, Option<Box<Ty>>),
    Flags(u32),
    /// Only where a test says so; its values are the numbers that a guest has for them.
    Handle(Handle),
}

/// What a handle is for. The resource type is called `$r`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Handle {
    Own,
    Borrow,
    ErrorContext,
}

/// Reproducible by its seed.
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

impl Ty {
    /// Any, no deeper than this.
    pub fn random(random: &mut Random, depth: u32) -> Ty {
        if depth == 0 || random.one_in(5) {
            return match random.below(6) {
                0 => Ty::Bool,
                1 => Ty::Char,
                2 => Ty::String,
                3 => Ty::F32,
                4 => Ty::F64,
                _ => Ty::Int { bits: random.pick(&[8, 16, 32, 64]), signed: random.one_in(2) },
            };
        }
        let ty = |random: &mut Random| Ty::random(random, depth - 1);
        let maybe = |random: &mut Random| (!random.one_in(3)).then(|| Ty::random(random, depth - 1));
        match random.below(13) {
            0..=2 => Ty::List(ty(random).into()),
            3 => Ty::FixedList(ty(random).into(), 1 + random.below(4) as u32),
            4 => {
                let key = match random.below(4) {
                    0 => Ty::Bool,
                    1 => Ty::Char,
                    2 => Ty::String,
                    _ => Ty::Int { bits: random.pick(&[8, 16, 32, 64]), signed: random.one_in(2) },
                };
                Ty::Map(key.into(), ty(random).into())
            }
            5 | 6 => Ty::Record((0..=random.below(4)).map(|_| ty(random)).collect()),
            7 => Ty::Tuple((0..=random.below(4)).map(|_| ty(random)).collect()),
            8 | 9 => Ty::Variant((0..=random.below(5)).map(|_| maybe(random)).collect()),
            10 => Ty::Option(ty(random).into()),
            11 => Ty::Result(maybe(random).map(Box::new), maybe(random).map(Box::new)),
            _ if random.one_in(2) => Ty::Enum(random.pick(&[1, 2, 3, 255, 256, 257])),
            _ => Ty::Flags(random.pick(&[1, 2, 7, 8, 9, 16, 17, 31, 32])),
        }
    }

    /// Its text. What needs a name is defined in `definitions`, one after the other.
    pub fn text(&self, definitions: &mut Vec<String>) -> String {
        let maybe =
            |ty: Option<&Ty>, definitions: &mut Vec<String>| ty.map(|ty| ty.text(definitions)).unwrap_or_default();
        let definition = match self {
            Ty::Bool => return "bool".into(),
            Ty::Int { bits, signed } => return format!("{}{bits}", if *signed { 's' } else { 'u' }),
            Ty::F32 => return "f32".into(),
            Ty::F64 => return "f64".into(),
            Ty::Char => return "char".into(),
            Ty::String => return "string".into(),
            Ty::Handle(Handle::Own) => return "(own $r)".into(),
            Ty::Handle(Handle::Borrow) => return "(borrow $r)".into(),
            Ty::Handle(Handle::ErrorContext) => return "error-context".into(),
            Ty::List(ty) => return format!("(list {})", ty.text(definitions)),
            Ty::FixedList(ty, len) => return format!("(list {} {len})", ty.text(definitions)),
            Ty::Map(key, value) => return format!("(map {} {})", key.text(definitions), value.text(definitions)),
            Ty::Option(ty) => return format!("(option {})", ty.text(definitions)),
            Ty::Result(ok, err) => {
                let ok = maybe(ok.as_deref(), definitions);
                let err = err.as_ref().map(|ty| format!("(error {})", ty.text(definitions))).unwrap_or_default();
                return format!("(result {ok} {err})");
            }
            Ty::Tuple(types) => {
                let types: Vec<String> = types.iter().map(|ty| ty.text(definitions)).collect();
                return format!("(tuple {})", types.join(" "));
            }
            Ty::Record(types) => {
                let types = types.iter().enumerate();
                let fields: Vec<String> =
                    types.map(|(index, ty)| format!("(field \"f{index}\" {})", ty.text(definitions))).collect();
                format!("(record {})", fields.join(" "))
            }
            Ty::Variant(cases) => {
                let cases = cases.iter().enumerate();
                let cases: Vec<String> = cases
                    .map(|(index, ty)| format!("(case \"c{index}\" {})", maybe(ty.as_ref(), definitions)))
                    .collect();
                format!("(variant {})", cases.join(" "))
            }
            Ty::Enum(count) => {
                format!("(enum {})", (0..*count).map(|index| format!("\"c{index}\" ")).collect::<String>())
            }
            Ty::Flags(count) => {
                format!("(flags {})", (0..*count).map(|index| format!("\"b{index}\" ")).collect::<String>())
            }
        };
        definitions.push(definition);
        format!("$t{}", definitions.len() - 1)
    }

    /// Any value.
    pub fn random_val(&self, random: &mut Random) -> Val {
        let payload = |random: &mut Random, ty: Option<&Ty>| ty.map(|ty| ty.random_val(random));
        match self {
            Ty::Bool => Val::from(random.one_in(2)),
            Ty::Int { bits, signed } => {
                let bits_of = if random.one_in(3) {
                    random.pick(&[0, 1, u64::MAX, 0x7f, 0x80, i64::MIN as u64])
                } else {
                    random.bits()
                };
                int(*bits, *signed, bits_of)
            }
            Ty::F32 => Val::from(f32::from_bits(random.pick(&[0x7fc0_0000, 0x8000_0000, 0x7f80_0000, 1, 0x4049_0fdb]))),
            Ty::F64 => {
                let some = [0x7ff8 << 48, 1 << 63, 0x7ff0 << 48, 1, 0x4009_21fb_5444_2d18];
                Val::from(f64::from_bits(random.pick(&some)))
            }
            Ty::Char => Val::from(random.pick(&CHARS)),
            Ty::Handle(_) => Val::from(0u32),
            Ty::String => {
                // All of one kind more often than by chance: Latin-1 has a representation of its own.
                let of = &CHARS[..random.pick(&[2, 4, CHARS.len()])];
                let len = if random.one_in(10) { random.below(300) } else { random.below(8) };
                Val::from((0..len).map(|_| random.pick(of)).collect::<String>())
            }
            Ty::List(ty) => Val::list((0..random.below(5)).map(|_| ty.random_val(random)).collect::<Vec<_>>()),
            Ty::FixedList(ty, len) => Val::list((0..*len).map(|_| ty.random_val(random)).collect::<Vec<_>>()),
            Ty::Map(key, value) => Val::map(
                (0..random.below(4)).map(|_| (key.random_val(random), value.random_val(random))).collect::<Vec<_>>(),
            ),
            Ty::Record(types) => {
                let fields = types.iter().enumerate().map(|(index, ty)| (format!("f{index}"), ty.random_val(random)));
                Val::record(fields.collect::<Vec<_>>())
            }
            Ty::Tuple(types) => Val::tuple(types.iter().map(|ty| ty.random_val(random)).collect::<Vec<_>>()),
            Ty::Variant(cases) => {
                let index = random.below(cases.len());
                Val::variant(format!("c{index}"), payload(random, cases[index].as_ref()))
            }
            Ty::Enum(count) => Val::enumeration(format!("c{}", random.below(*count as usize))),
            Ty::Option(ty) => Val::option((!random.one_in(3)).then(|| ty.random_val(random))),
            Ty::Result(ok, err) => Val::result(if random.one_in(2) {
                Ok(payload(random, ok.as_deref()))
            } else {
                Err(payload(random, err.as_deref()))
            }),
            Ty::Flags(count) => flags(*count, random.bits()),
        }
    }

    /// The types of a value that is made of others, one after the other.
    pub fn fields(&self) -> Option<Vec<&Ty>> {
        match self {
            Ty::Record(types) | Ty::Tuple(types) => Some(types.iter().collect()),
            Ty::FixedList(ty, len) => Some(vec![ty; *len as usize]),
            _ => None,
        }
    }

    /// A value of these.
    pub fn of_fields(&self, vals: Vec<Val>) -> Val {
        match self {
            Ty::Record(_) => Val::record(vals.into_iter().enumerate().map(|(index, val)| (format!("f{index}"), val))),
            Ty::Tuple(_) => Val::tuple(vals),
            _ => Val::list(vals),
        }
    }

    /// The payloads of a value that is one of several.
    pub fn cases(&self) -> Option<Vec<Option<&Ty>>> {
        match self {
            Ty::Variant(cases) => Some(cases.iter().map(Option::as_ref).collect()),
            Ty::Enum(count) => Some(vec![None; *count as usize]),
            Ty::Option(ty) => Some(vec![None, Some(ty)]),
            Ty::Result(ok, err) => Some(vec![ok.as_deref(), err.as_deref()]),
            _ => None,
        }
    }

    /// A value that is this one.
    pub fn of_case(&self, index: usize, payload: Option<Val>) -> Val {
        match self {
            Ty::Variant(_) => Val::variant(format!("c{index}"), payload),
            Ty::Enum(_) => Val::enumeration(format!("c{index}")),
            Ty::Option(_) => Val::option(payload),
            _ => Val::result(if index == 0 { Ok(payload) } else { Err(payload) }),
        }
    }
}

const CHARS: [char; 8] = ['a', '~', 'é', 'ÿ', 'Ā', '日', '𝄞', '\u{10ffff}'];

/// A number of so many bits.
pub fn int(bits: u32, signed: bool, value: u64) -> Val {
    match (bits, signed) {
        (8, false) => Val::from(value as u8),
        (8, true) => Val::from(value as i8),
        (16, false) => Val::from(value as u16),
        (16, true) => Val::from(value as i16),
        (32, false) => Val::from(value as u32),
        (32, true) => Val::from(value as i32),
        (_, false) => Val::from(value),
        (_, true) => Val::from(value as i64),
    }
}

/// The flags of these bits.
pub fn flags(count: u32, bits: u64) -> Val {
    Val::flags((0..count).filter(|index| bits >> index & 1 != 0).map(|index| format!("b{index}")))
}

/// The number in a name, such as 3 in `c3`.
fn number(name: &[u8]) -> usize {
    std::str::from_utf8(&name[1..]).expect("a name of ours").parse().expect("a number")
}

/// The parts of a value that is made of others.
pub fn parts(val: &Val) -> Vec<&Val> {
    match val.get() {
        ValRef::List(vals) | ValRef::Tuple(vals) => vals.iter().collect(),
        ValRef::Record(fields) => fields.iter().map(|field| &field.val).collect(),
        other => panic!("{other:?}"),
    }
}

/// Which of several a value is, and with what.
pub fn case(val: &Val) -> (usize, Option<&Val>) {
    match val.get() {
        ValRef::Variant(name, payload) => (number(name), payload),
        ValRef::Enum(name) => (number(name), None),
        ValRef::Option(payload) => (usize::from(payload.is_some()), payload),
        ValRef::Ok(payload) => (0, payload),
        ValRef::Err(payload) => (1, payload),
        other => panic!("{other:?}"),
    }
}

/// The bits of a number, of which as many matter as its type has; of a bool, a character, a float, or flags.
pub fn bits_of(val: &Val) -> u64 {
    match val.get() {
        ValRef::Bool(value) => value.into(),
        ValRef::S8(value) => value as u64,
        ValRef::U8(value) => value.into(),
        ValRef::S16(value) => value as u64,
        ValRef::U16(value) => value.into(),
        ValRef::S32(value) => value as u64,
        ValRef::U32(value) | ValRef::Char(value) => value.into(),
        ValRef::S64(value) => value as u64,
        ValRef::U64(value) => value,
        ValRef::F32(value) => value.to_bits().into(),
        ValRef::F64(value) => value.to_bits(),
        ValRef::Flags(names) => names.iter().map(|name| 1 << number(name.as_slice())).sum(),
        other => panic!("{other:?}"),
    }
}
