//! What the processor that code is made for can do.

/// Instructions beyond those that every x86-64 has.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Cpu {
    pub sse41: bool,
    pub sse42: bool,
    pub fma: bool,
    pub popcnt: bool,
    pub lzcnt: bool,
    pub bmi1: bool,
    pub bmi2: bool,
}

impl Cpu {
    /// By the names that the code generator has for them.
    pub fn new<'a>(features: impl Iterator<Item = &'a str>) -> Self {
        let mut cpu = Self::default();
        for feature in features {
            match feature {
                "has_sse41" => cpu.sse41 = true,
                // Whoever has it has all of SSE up to it.
                "has_sse42" => cpu.sse42 = true,
                "has_fma" => cpu.fma = true,
                "has_popcnt" => cpu.popcnt = true,
                "has_lzcnt" => cpu.lzcnt = true,
                "has_bmi1" => cpu.bmi1 = true,
                "has_bmi2" => cpu.bmi2 = true,
                _ => {}
            }
        }
        cpu
    }
}
