//! `ampoule inspect --code`: one function's machine code, beside the operators that it was made from.

use super::disassembly::{Piece, disassemble};
use super::operators::Operators;
use crate::terminal::{fit, print_lines};
use ampoule::Module;
use ampoule_core::artifact::{CompiledFunction, RelocationTarget};
use ampoule_core::index::FuncIndex;
use ampoule_core::module::Item;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;

/// Prints what the engine's compiler makes of a function.
///
/// # Errors
/// Where there is no such function, or it has no code.
pub fn print(module: &Module, binary: &[u8], name: &str, tier: &str) -> Result<()> {
    let func = find(module, name)?;
    let description = module.description();
    let own = description.defined_func(func);
    let own = own.with_context(|| format!("{} is imported: it has no code here", display_name(module, func)))?;
    let compiled = module.compile_function(own)?;
    // Inlining brings in operators of others.
    let others = compiled.info.inlined.iter().filter_map(|&(position, _)| description.func_at(position));
    let funcs: BTreeSet<u32> = others.map(|func| func.0).chain([func.0]).collect();
    let bodies = funcs.iter().filter_map(|&func| description.defined_func(FuncIndex(func)));
    let bodies = bodies.map(|func| description.bodies[func.index()].clone()).collect();
    let body = description.bodies[own.index()].clone();
    let operators = Operators::read(binary, bodies)?;
    let mut listing = Listing { module, compiled: &compiled, operators: &operators, next: body.start, lines: vec![] };
    listing.lines.push(format!("{}, by the {tier} tier: {} bytes", display_name(module, func), compiled.code.len()));
    listing.code();
    listing.operators_before(body.end);
    print_lines(listing.lines)
}

/// Lines being made.
struct Listing<'a> {
    module: &'a Module,
    compiled: &'a CompiledFunction,
    operators: &'a Operators,
    /// The function's own operators from this offset on are not in the listing yet.
    next: u64,
    lines: Vec<String>,
}

impl Listing<'_> {
    /// Each instruction, behind the operator that it was made from where that is another one than before. A mark tells of what was made from
    /// none, such as moves between registers.
    fn code(&mut self) {
        let info = &self.compiled.info;
        let mut operator = Vec::new();
        for piece in disassemble(self.compiled, |target| target_name(self.module, target)) {
            match piece {
                Piece::Instruction(at, text) => {
                    let chain: Vec<u32> = info.positions_at(at).collect();
                    let mark = if chain.is_empty() { '-' } else { ' ' };
                    if !chain.is_empty() && chain != operator {
                        self.operator(&chain);
                        operator = chain;
                    }
                    let trap = info.trap_at(at).map(|trap| format!("  ; trap: {trap}")).unwrap_or_default();
                    self.lines.push(format!("{at:>18x} {mark} {text}{trap}"));
                }
                Piece::Data(range) => {
                    let bytes = &self.compiled.code[range.start as usize..range.end as usize];
                    for (number, row) in bytes.chunks(16).enumerate() {
                        let row: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
                        self.lines.push(format!(
                            "{:>18x}   .byte   {}",
                            range.start as usize + number * 16,
                            row.join(" ")
                        ));
                    }
                }
            }
        }
    }

    /// An operator that code follows of, with the calls that it was inlined for, innermost first. The function's own operators that stand before
    /// it, of which no code was made, come first.
    fn operator(&mut self, chain: &[u32]) {
        let Some((&position, calls)) = chain.split_first() else { return };
        let outermost = u64::from(*calls.last().unwrap_or(&position));
        let is_new = outermost >= self.next;
        self.operators_before(outermost + 1);
        if is_new && calls.is_empty() {
            return;
        }
        let mut line =
            operator_line(position.into(), self.operators.at(position.into()).unwrap_or_default().trim_start());
        if !calls.is_empty() {
            if let Some(callee) = self.module.description().func_at(position) {
                line.push_str(&format!("  ;; in {}", display_name(self.module, callee)));
            }
            calls.iter().for_each(|call| line.push_str(&format!(", called at {call:#x}")));
        }
        self.lines.push(line);
    }

    /// The function's own operators that are not listed yet, up to an offset.
    fn operators_before(&mut self, end: u64) {
        if self.next < end {
            // What encloses the function in the text is not of interest.
            let unindented = |text: &str| text.strip_prefix("  ").unwrap_or(text).to_owned();
            let lines = self.operators.between(self.next..end);
            self.lines.extend(lines.map(|(offset, text)| operator_line(offset, &unindented(text))));
            self.next = end;
        }
    }
}

fn operator_line(offset: u64, text: &str) -> String {
    format!("{offset:#010x}  {text}")
}

fn target_name(module: &Module, target: RelocationTarget) -> String {
    match target {
        RelocationTarget::Func(func) => display_name(module, func),
        RelocationTarget::Builtin(builtin) => format!("builtin {}", builtin.name()),
    }
}

/// The widest that a name is shown.
const WIDEST_NAME: usize = 80;

fn display_name(module: &Module, func: FuncIndex) -> String {
    match module.demangled_function_name(func) {
        Some(name) => format!("function {} `{}`", func.0, fit(&name, Some(WIDEST_NAME))),
        None => format!("function {}", func.0),
    }
}

/// The function that is exported under this name, or else is called so, or else has this number.
fn find(module: &Module, name: &str) -> Result<FuncIndex> {
    if let Some(item) = module.export_item(name) {
        let Item::Func(func) = item else { bail!("the export `{name}` is no function") };
        return Ok(func);
    }
    let count = module.description().functions.len();
    let all = || (0..count as u32).map(FuncIndex);
    let plain = name.strip_prefix('$').unwrap_or(name);
    let mut named: Vec<FuncIndex> = all().filter(|&func| module.function_name(func) == Some(plain)).collect();
    if named.is_empty() {
        named =
            all().filter(|&func| module.demangled_function_name(func).is_some_and(|known| known == plain)).collect();
    }
    if let [func] = named[..] {
        return Ok(func);
    }
    if !named.is_empty() {
        let shown: Vec<String> = named.iter().take(MOST_SHOWN).map(|func| func.0.to_string()).collect();
        let more = if named.len() > MOST_SHOWN { " and more" } else { "" };
        bail!("`{name}` is the name of functions {}{more}: choose one by its number", shown.join(", "));
    }
    if let Ok(number) = name.parse::<u32>() {
        ensure!((number as usize) < count, "there is no function {number}: the module has {count}");
        return Ok(FuncIndex(number));
    }
    ensure!(count > 0, "the module has no functions");
    let near = near_names(module, plain);
    // Where none is like it, the first of all.
    let shown = if near.is_empty() { near_names(module, "") } else { near };
    ensure!(!shown.is_empty(), "none of the module's {count} functions has a name: choose one by its number");
    let hint = if all().any(|func| module.function_name(func).is_some()) { "" } else { "; only exports have names" };
    bail!("no function is exported as `{name}`, or called so; there are {}{hint}", shown.join(", "))
}

/// How many functions a message lists.
const MOST_SHOWN: usize = 6;
/// Names longer than this many bytes are only near where they contain what was asked for.
const LONGEST_COMPARED: usize = 200;
/// From 0, nothing in common, to 1, equal.
const NEAR: f64 = 0.6;

/// Names of functions like this one, the nearest first. All are like an empty one.
fn near_names(module: &Module, name: &str) -> Vec<String> {
    let name = name.to_lowercase();
    let nearness = |known: &str| {
        let known = known.to_lowercase();
        if known.contains(&name) {
            return 1.0 + name.len() as f64 / known.len() as f64;
        }
        let compared = known.len().max(name.len()) <= LONGEST_COMPARED;
        if compared { strsim::normalized_damerau_levenshtein(&known, &name) } else { 0.0 }
    };
    let exports = module.description().exports.iter();
    let exports = exports.filter_map(|export| match export.item {
        Item::Func(func) => Some((func, std::borrow::Cow::from(&export.name))),
        _ => None,
    });
    let funcs = (0..module.description().functions.len() as u32).map(FuncIndex);
    let named = funcs.filter_map(|func| Some((func, module.demangled_function_name(func)?)));
    let mut near: Vec<(f64, FuncIndex, String)> = Vec::new();
    for (func, known) in exports.chain(named) {
        let nearness = nearness(&known);
        if nearness >= NEAR && near.iter().all(|(_, other, _)| *other != func) {
            near.push((nearness, func, fit(&known, Some(WIDEST_NAME)).into_owned()));
            // The nearest are kept, in order; of those alike, the first.
            near.sort_by(|a, b| b.0.total_cmp(&a.0));
            near.truncate(MOST_SHOWN);
        }
    }
    near.into_iter().map(|(_, func, known)| format!("`{known}` ({})", func.0)).collect()
}
