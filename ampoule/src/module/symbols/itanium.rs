//! Whether a name is one that a C++ compiler gives to a function, by the mangling of the Itanium C++ ABI.
//!
//! Only the syntax is read: from left to right, once, deciding each step by the next two bytes. That is possible for all but a few
//! productions; names with those (`decltype`, calls and other expressions in signatures) count as none. What refers to other
//! parts of the name isn't followed.

/// Nesting that is followed: what `cpp_demangle` would refuse as well.
const MAX_DEPTH: u32 = 64;

/// Whether it is such a name.
pub(super) fn is_function(name: &str) -> bool {
    let mut reader = Reader { rest: name.trim_start_matches('_').as_bytes(), depth: 0 };
    let read = reader.expect(b"Z").and_then(|()| reader.encoding());
    // What compilers split off from a function is named after it: `.part.1`.
    read.is_some() && matches!(reader.rest.first(), None | Some(b'.'))
}

struct Reader<'a> {
    rest: &'a [u8],
    depth: u32,
}

/// `None`: the name isn't one.
type Read = Option<()>;

impl Reader<'_> {
    fn peek(&self) -> u8 {
        self.rest.first().copied().unwrap_or(0)
    }

    fn take(&mut self, start: &[u8]) -> bool {
        let rest = self.rest.strip_prefix(start);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, start: &[u8]) -> Read {
        self.take(start).then_some(())
    }

    fn skip_while(&mut self, holds: impl Fn(u8) -> bool) -> usize {
        let len = self.rest.iter().position(|&byte| !holds(byte)).unwrap_or(self.rest.len());
        self.rest = &self.rest[len..];
        len
    }

    /// Reads with `part`, one level deeper.
    fn nested(&mut self, part: impl FnOnce(&mut Self) -> Read) -> Read {
        self.depth += 1;
        let read = if self.depth <= MAX_DEPTH { part(self) } else { None };
        self.depth -= 1;
        read
    }

    /// Parts up to an `E`, at least `least`.
    fn until_end(&mut self, least: usize, mut part: impl FnMut(&mut Self) -> Read) -> Read {
        let mut count = 0;
        while !self.take(b"E") {
            part(self)?;
            count += 1;
        }
        (count >= least).then_some(())
    }

    /// A name and the types of its parameters; or a table, guard or thunk.
    fn encoding(&mut self) -> Read {
        self.nested(|this| {
            if this.take(b"GV") {
                return this.name();
            }
            if this.peek() == b'T' {
                return match this.rest.get(1)? {
                    b'V' | b'T' | b'I' | b'S' => {
                        this.rest = &this.rest[2..];
                        this.ty()
                    }
                    b'h' => {
                        this.rest = &this.rest[2..];
                        this.number_and_bar()?;
                        this.encoding()
                    }
                    b'v' => {
                        this.rest = &this.rest[2..];
                        this.number_and_bar()?;
                        this.number_and_bar()?;
                        this.encoding()
                    }
                    _ => None,
                };
            }
            this.name()?;
            while !matches!(this.peek(), 0 | b'E' | b'.') {
                this.ty()?;
            }
            Some(())
        })
    }

    fn name(&mut self) -> Read {
        self.nested(|this| match this.peek() {
            b'N' => this.nested_name(),
            b'Z' => this.local_name(),
            b'S' => {
                let is_std = this.take(b"St");
                if is_std {
                    this.unqualified()?
                } else {
                    this.substitution()?
                }
                this.optional_args()
            }
            _ => {
                this.unqualified()?;
                this.optional_args()
            }
        })
    }

    fn nested_name(&mut self) -> Read {
        self.expect(b"N")?;
        self.skip_while(|byte| matches!(byte, b'r' | b'V' | b'K'));
        let _ = self.take(b"R") || self.take(b"O");
        self.until_end(1, |this| match this.peek() {
            b'S' if this.take(b"St") => Some(()),
            b'S' => this.substitution(),
            b'T' => this.parameter(),
            b'I' => this.args(),
            _ => this.unqualified(),
        })
    }

    fn local_name(&mut self) -> Read {
        self.expect(b"Z")?;
        self.encoding()?;
        self.expect(b"E")?;
        if !self.take(b"s") {
            self.name()?;
        }
        if self.take(b"__") {
            return self.number_and_bar();
        }
        if self.take(b"_") {
            return (self.skip_while(|byte| byte.is_ascii_digit()) == 1).then_some(());
        }
        Some(())
    }

    fn unqualified(&mut self) -> Read {
        match self.peek() {
            b'L' => {
                self.expect(b"L")?;
                self.source_name()?;
            }
            b'0'..=b'9' => self.source_name()?,
            b'C' | b'D' => {
                let kind = *self.rest.get(1)?;
                self.rest = &self.rest[2..];
                matches!(kind, b'0'..=b'5').then_some(())?;
            }
            b'U' if self.take(b"Ut") => {
                self.number_and_bar()?;
            }
            b'U' if self.take(b"Ul") => {
                self.nested(|this| this.until_end(1, Self::ty))?;
                self.number_and_bar()?;
            }
            _ => self.operator()?,
        }
        while self.take(b"B") {
            self.source_name()?;
        }
        Some(())
    }

    fn operator(&mut self) -> Read {
        if self.take(b"li") {
            return self.source_name();
        }
        if self.take(b"cv") {
            // A template's parameter may be followed by arguments, of the type or of the operator.
            return if self.peek() == b'T' { None } else { self.ty() };
        }
        let code = self.rest.get(..2)?;
        let known = UNARY.contains(&code) || BINARY.contains(&code) || OTHERS.contains(&code);
        self.rest = &self.rest[2..];
        known.then_some(())
    }

    fn source_name(&mut self) -> Read {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let len: usize = str::from_utf8(&self.rest[..digits]).ok()?.parse().ok()?;
        let end = digits.checked_add(len).filter(|&end| len > 0 && end <= self.rest.len())?;
        self.rest = &self.rest[end..];
        Some(())
    }

    /// `S_`, `S0_`, or the short name of something of `std`.
    fn substitution(&mut self) -> Read {
        self.expect(b"S")?;
        if matches!(self.peek(), b'a' | b'b' | b's' | b'i' | b'o' | b'd') {
            self.rest = &self.rest[1..];
            return Some(());
        }
        self.skip_while(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
        self.expect(b"_")
    }

    /// `T_`, `T0_`.
    fn parameter(&mut self) -> Read {
        self.expect(b"T")?;
        self.number_and_bar()
    }

    fn number_and_bar(&mut self) -> Read {
        self.take(b"n");
        self.skip_while(|byte| byte.is_ascii_digit());
        self.expect(b"_")
    }

    fn optional_args(&mut self) -> Read {
        if self.peek() == b'I' { self.args() } else { Some(()) }
    }

    fn args(&mut self) -> Read {
        self.expect(b"I")?;
        self.nested(|this| this.until_end(1, Self::arg))
    }

    fn arg(&mut self) -> Read {
        match self.peek() {
            b'L' => self.literal(),
            b'J' => {
                self.expect(b"J")?;
                self.nested(|this| this.until_end(0, Self::arg))
            }
            b'X' => {
                self.expect(b"X")?;
                self.expression()?;
                self.expect(b"E")
            }
            _ => self.ty(),
        }
    }

    fn literal(&mut self) -> Read {
        self.nested(|this| {
            this.expect(b"L")?;
            if this.take(b"_Z") {
                this.encoding()?;
                return this.expect(b"E");
            }
            this.ty()?;
            this.take(b"n");
            this.skip_while(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
            this.expect(b"E")
        })
    }

    fn expression(&mut self) -> Read {
        self.nested(|this| match this.peek() {
            b'L' => this.literal(),
            b'T' => this.parameter(),
            _ if this.take(b"sr") => this.unresolved_name(),
            _ if this.take(b"st") => this.ty(),
            _ if this.take(b"sz") || this.take(b"sp") => this.expression(),
            _ if this.take(b"sZ") => this.parameter(),
            _ if this.take(b"fp") => {
                this.skip_while(|byte| byte.is_ascii_digit());
                this.expect(b"_")
            }
            _ => {
                let code = this.rest.get(..2)?;
                let operands = match code {
                    b"qu" => 3,
                    code if BINARY.contains(&code) => 2,
                    code if UNARY.contains(&code) => 1,
                    _ => return None,
                };
                this.rest = &this.rest[2..];
                (0..operands).try_for_each(|_| this.expression())
            }
        })
    }

    /// What follows `sr`: a name within a type that only an instance of the template knows.
    fn unresolved_name(&mut self) -> Read {
        match self.peek() {
            b'T' => {
                self.parameter()?;
                self.optional_args()?;
            }
            b'S' if !self.rest.starts_with(b"St") => {
                self.substitution()?;
                self.optional_args()?;
            }
            _ => self.until_end(1, |this| {
                this.source_name()?;
                this.optional_args()
            })?,
        }
        self.source_name()?;
        self.optional_args()
    }

    fn ty(&mut self) -> Read {
        self.nested(|this| {
            this.skip_while(|byte| matches!(byte, b'P' | b'R' | b'O' | b'K' | b'V' | b'r'));
            match this.peek() {
                b'a'..=b'o' | b's'..=b't' | b'v'..=b'z' => {
                    this.rest = &this.rest[1..];
                    Some(())
                }
                b'u' => {
                    this.expect(b"u")?;
                    this.source_name()
                }
                b'D' => {
                    let kind = *this.rest.get(1)?;
                    this.rest = &this.rest[2..];
                    match kind {
                        b'n' | b'a' | b'c' | b'i' | b's' | b'u' | b'f' | b'd' | b'e' | b'h' => Some(()),
                        b'p' => this.ty(),
                        b'v' => {
                            this.number_and_bar()?;
                            this.ty()
                        }
                        _ => None,
                    }
                }
                b'F' => {
                    this.expect(b"F")?;
                    this.take(b"Y");
                    // What a reference to a member function is qualified with may come last.
                    this.until_end(1, |this| {
                        if this.rest.starts_with(b"RE") || this.rest.starts_with(b"OE") {
                            this.rest = &this.rest[1..];
                            return Some(());
                        }
                        this.ty()
                    })
                }
                b'A' => {
                    this.expect(b"A")?;
                    this.number_and_bar()?;
                    this.ty()
                }
                b'M' => {
                    this.expect(b"M")?;
                    this.ty()?;
                    this.ty()
                }
                b'T' => {
                    this.parameter()?;
                    this.optional_args()
                }
                b'N' | b'Z' | b'S' | b'0'..=b'9' => this.name(),
                _ => None,
            }
        })
    }
}

const UNARY: &[&[u8]] = &[b"ps", b"ng", b"ad", b"de", b"co", b"nt", b"pp", b"mm"];

const BINARY: &[&[u8]] = &[
    b"pl", b"mi", b"ml", b"dv", b"rm", b"an", b"or", b"eo", b"aS", b"pL", b"mI", b"mL", b"dV", b"rM", b"aN", b"oR",
    b"eO", b"ls", b"rs", b"lS", b"rS", b"eq", b"ne", b"lt", b"gt", b"le", b"ge", b"ss", b"aa", b"oo", b"cm", b"pm",
    b"pt", b"ix",
];

/// Operators that functions may be, and expressions here are not.
const OTHERS: &[&[u8]] = &[b"nw", b"na", b"dl", b"da", b"cl", b"qu"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_compilers_write_are_read() {
        for name in [
            "_Z3foov",
            "_ZN4calc4spinEv",
            "_ZNKSt3__112basic_stringIcNS_11char_traitsIcEENS_9allocatorIcEEE4sizeEv",
            "_ZNSt6vectorIiSaIiEE9push_backEOi",
            "_ZN1AC2ERKS_",
            "_ZN1AD0Ev",
            "_ZplRK1AS1_",
            "_ZN1AcvbEv",
            "_ZZ4mainENKUlvE_clEv",
            "_ZZN1a1bEvE1c_0",
            "_ZTV1A",
            "_ZThn8_N1A1fEv",
            "_ZGVZ1fvE1x",
            "_Z1fILi3ELb1EEvv",
            "_Z1fIJidEEvDpT_",
            "_Z1fPFviEM1AKFvvE",
            "_Z1fA10_i",
            "_Z1fINSt9enable_ifIXsr7is_sameIT_iEE5valueEvE4typeEEvv",
            "_ZN12_GLOBAL__N_11fEv.part.1",
            "_ZNSt3__16vectorIiNS_9allocatorIiEEE11__vallocateB8ne180100Em",
        ] {
            assert!(is_function(name), "{name}");
            assert!(cpp_demangle::Symbol::new(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn what_no_compiler_writes_is_not() {
        for name in [
            "",
            "_",
            "_Z",
            "_ZN",
            "_Z9a",
            "_Z0v",
            "_Z1f1",
            "_Z1fIE",
            "_Z1fIiv",
            "_Z1f!",
            "_ZN1aE!",
            "_Z99999999999999999999a",
        ] {
            assert!(!is_function(name), "{name}");
        }
        assert!(!is_function(&format!("_Z1f{}", "1aI".repeat(MAX_DEPTH as usize))));
    }
}
