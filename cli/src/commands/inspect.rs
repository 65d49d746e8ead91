//! `ampoule inspect`: what a module imports and exports, how large it is, and which proposals it needs; of a component, its world. And what
//! machine code a function becomes: [`code`] lists it, by [`operators`] and [`disassembly`].

mod code;
mod disassembly;
mod operators;

use crate::module_file::ModuleFile;
use crate::terminal::{self, columns, escape, fit, print_lines, print_wrapped, written};
use crate::units::show_bytes;
use ampoule::{Config, Engine, Module};
use ampoule_core::module::ModuleDescription;
use ampoule_core::tunables::Tiers;
use ampoule_runner::base_config;
use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::{Serialize, Serializer};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use wasmparser::{Validator, WasmFeatures};

/// Lists a module's imports, exports, sizes, and the features it needs; prints a component's world as WIT. With `--code`, lists the machine code
/// of a function.
#[derive(clap::Args)]
pub struct Args {
    /// A wasm or wat file.
    file: PathBuf,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// List the machine code of this function of a module, behind the operators that it was made from, each with its offset in the module. NAME is
    /// that of an export, one of the name section, or a number. Instructions with a `-` were made from no operator.
    #[arg(long, value_name = "NAME", conflicts_with = "json")]
    code: Option<String>,
    /// The compiler that makes the code.
    #[arg(long, value_enum, requires = "code", default_value_t = Compiler::Optimizing)]
    tier: Compiler,
}

/// The compilers there are.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Compiler {
    /// The one that is done at once.
    Baseline,
    /// The one whose code is fast.
    Optimizing,
}

/// What is printed. Imports and exports are made as they are printed: a module of a megabyte may have a million of them, each
/// with a type of four thousand characters.
#[derive(Serialize)]
struct Report<'a> {
    name: Option<&'a str>,
    #[serde(serialize_with = "imports_as_json")]
    imports: &'a Module,
    #[serde(serialize_with = "exports_as_json")]
    exports: &'a Module,
    sizes: Sizes,
    features: Vec<&'static str>,
}

#[derive(Serialize)]
struct Item<'a> {
    /// The first name of an import.
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<&'a str>,
    name: &'a str,
    #[serde(rename = "type")]
    ty: String,
}

#[derive(Serialize)]
struct Sizes {
    bytes: u64,
    code_bytes: u64,
    data_bytes: u64,
    functions: usize,
    globals: usize,
    tables: usize,
    memories: Vec<String>,
}

impl Args {
    /// Prints the report.
    ///
    /// # Errors
    /// Where the file is no module that the engine runs.
    pub fn run(self) -> Result<ExitCode> {
        let file = ModuleFile::read(&self.file)?;
        let binary = file.binary()?;
        if let Some(name) = &self.code {
            return self.print_code(&file, name);
        }
        let engine = Engine::new(&config())?;
        if file.component(&engine)?.is_some() {
            ensure!(!self.json, "--json: of components only the world is shown, as WIT");
            let world = file.named(world(binary).context("its world can't be written as WIT"))?;
            print_lines(world.lines())?;
            return Ok(ExitCode::SUCCESS);
        }
        let module = file.load(&engine)?;
        let report = Report {
            name: module.name(),
            imports: &module,
            exports: &module,
            sizes: Sizes::new(module.description()),
            features: needed_features(binary),
        };
        if self.json {
            report.print_json()?
        } else {
            report.print_tables()?
        }
        Ok(ExitCode::SUCCESS)
    }

    fn print_code(&self, file: &ModuleFile, name: &str) -> Result<ExitCode> {
        let mut config = config();
        config.tunables.debug_positions = true;
        config.tiers(match self.tier {
            Compiler::Baseline => Tiers::Baseline,
            Compiler::Optimizing => Tiers::Optimizing,
        });
        let engine = Engine::new(&config)?;
        ensure!(
            file.component(&engine)?.is_none(),
            "--code: a component has no functions of its own, but modules in it"
        );
        let module = file.load(&engine)?;
        let tier = self.tier.to_possible_value().expect("none is hidden");
        file.named(code::print(&module, file.binary()?, name, tier.get_name()))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The world of a component, as WIT, and the packages that it names.
fn world(binary: &[u8]) -> Result<String> {
    let decoded = wit_component::decode(binary)?;
    let (resolve, package) = (decoded.resolve(), decoded.package());
    let others: Vec<_> = resolve.packages.iter().map(|(id, _)| id).filter(|&id| id != package).collect();
    let mut printer = wit_component::WitPrinter::default();
    printer.print(resolve, package, &others)?;
    Ok(printer.output.to_string())
}

fn imports(module: &Module) -> impl Iterator<Item = Item<'_>> {
    module.imports().map(|(import, ty)| Item { module: Some(&import.module), name: &import.name, ty: ty.to_string() })
}

fn exports(module: &Module) -> impl Iterator<Item = Item<'_>> {
    module.exports().map(|(export, ty)| Item { module: None, name: &export.name, ty: ty.to_string() })
}

fn imports_as_json<S: Serializer>(module: &&Module, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(imports(module))
}

fn exports_as_json<S: Serializer>(module: &&Module, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(exports(module))
}

impl Report<'_> {
    fn print_json(&self) -> Result<()> {
        let mut out = Escaping(BufWriter::new(std::io::stdout().lock()));
        let result = serde_json::to_writer_pretty(&mut out, self).map_err(std::io::Error::from);
        written(result.and_then(|()| writeln!(out)).and_then(|()| out.flush()))
    }

    fn print_tables(&self) -> Result<()> {
        let width = terminal::width();
        if let Some(name) = self.name {
            print_lines([fit(&format!("module {name}"), width), "".into()])?;
        }
        let names = |item: Item<'_>| match item.module {
            Some(module) => (format!("{module}::{}", item.name), item.ty),
            None => (item.name.to_owned(), item.ty),
        };
        let len = self.imports.imports().count();
        print_table(&format!("imports ({len})"), || imports(self.imports).map(names), width)?;
        let len = self.exports.exports().count();
        print_table(&format!("exports ({len})"), || exports(self.exports).map(names), width)?;
        let sizes = &self.sizes;
        let mut rows = vec![
            ("module".to_owned(), show_bytes(sizes.bytes)),
            ("code".to_owned(), format!("{} in {} functions", show_bytes(sizes.code_bytes), sizes.functions)),
            ("data".to_owned(), show_bytes(sizes.data_bytes)),
            ("globals".to_owned(), sizes.globals.to_string()),
            ("tables".to_owned(), sizes.tables.to_string()),
        ];
        rows.extend(sizes.memories.iter().map(|memory| ("memory".to_owned(), memory.clone())));
        print_table("sizes", || rows.iter().cloned(), width)?;
        let features = if self.features.is_empty() { "none".to_owned() } else { self.features.join(" ") };
        print_lines(["features"])?;
        print_wrapped(&format!("  {features}"))
    }
}

/// The widest that a table makes its first column for the longest name in it; longer names push their own line apart.
const WIDEST_NAME: usize = 48;

/// Prints a title, two columns, and an empty line. Rows are asked for twice, first for the width of their names.
fn print_table<I>(title: &str, rows: impl Fn() -> I, width: Option<usize>) -> Result<()>
where
    I: Iterator<Item = (String, String)>,
{
    // Of a terminal, names leave types at least a third.
    let widest = width.map_or(WIDEST_NAME, |width| WIDEST_NAME.min(width * 2 / 3 - 4));
    let column = rows().map(|(name, _)| columns(&escape(&name))).filter(|&len| len <= widest).max().unwrap_or(0);
    let row = |(name, ty): (String, String)| {
        let name = fit(&name, width.map(|_| widest));
        let padding = " ".repeat(column.saturating_sub(columns(&name)));
        fit(&format!("  {name}{padding}  {ty}"), width).into_owned()
    };
    print_lines(std::iter::once(title.to_owned()).chain(rows().map(row)).chain([String::new()]))
}

/// Writes JSON on, with those characters as `\u009b` that JSON allows but a terminal obeys.
struct Escaping<W>(W);

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // The serializer writes strings, and never a part of a character.
        let text = std::str::from_utf8(bytes).map_err(std::io::Error::other)?;
        for c in text.chars() {
            if c != '\n' && terminal::is_obeyed(c) {
                let mut units = [0; 2];
                c.encode_utf16(&mut units).iter().try_for_each(|unit| write!(self.0, "\\u{unit:04x}"))?;
            } else {
                self.0.write_all(c.encode_utf8(&mut [0; 4]).as_bytes())?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl Sizes {
    fn new(module: &ModuleDescription) -> Self {
        let own_memories = &module.memories[module.num_imported_memories..];
        Self {
            bytes: module.byte_len,
            code_bytes: module.code_section.end - module.code_section.start,
            data_bytes: module.datas.iter().map(|data| data.bytes.end - data.bytes.start).sum(),
            functions: module.bodies.len(),
            globals: module.globals.len() - module.num_imported_globals,
            tables: module.tables.len() - module.num_imported_tables,
            memories: own_memories
                .iter()
                .map(|ty| {
                    let least = ty.min_byte_len().map_or_else(|| "more than all".to_string(), show_bytes);
                    match ty.max {
                        Some(_) => format!("{least} to {}", show_bytes(ty.max_byte_len())),
                        None => format!("{least} and more"),
                    }
                })
                .collect(),
        }
    }
}

/// Whatever the engine runs, whether or not it has to be asked for.
fn config() -> Config {
    let mut config = base_config();
    config.features.legacy_exceptions = true;
    config
}

/// The proposals beyond WebAssembly 1.0 without which a valid module would not be valid.
fn needed_features(binary: &[u8]) -> Vec<&'static str> {
    const FEATURES: [(&str, WasmFeatures); 19] = [
        ("mutable-global", WasmFeatures::MUTABLE_GLOBAL),
        ("saturating-float-to-int", WasmFeatures::SATURATING_FLOAT_TO_INT),
        ("sign-extension", WasmFeatures::SIGN_EXTENSION),
        ("reference-types", WasmFeatures::REFERENCE_TYPES.union(WasmFeatures::CALL_INDIRECT_OVERLONG)),
        ("bulk-memory", WasmFeatures::BULK_MEMORY.union(WasmFeatures::BULK_MEMORY_OPT)),
        ("multi-value", WasmFeatures::MULTI_VALUE),
        ("simd", WasmFeatures::SIMD.union(WasmFeatures::RELAXED_SIMD)),
        ("relaxed-simd", WasmFeatures::RELAXED_SIMD),
        ("tail-call", WasmFeatures::TAIL_CALL),
        ("multi-memory", WasmFeatures::MULTI_MEMORY),
        ("memory64", WasmFeatures::MEMORY64),
        ("threads", WasmFeatures::THREADS),
        ("extended-const", WasmFeatures::EXTENDED_CONST),
        ("wide-arithmetic", WasmFeatures::WIDE_ARITHMETIC),
        ("custom-page-sizes", WasmFeatures::CUSTOM_PAGE_SIZES),
        ("function-references", WasmFeatures::FUNCTION_REFERENCES),
        ("gc", WasmFeatures::GC),
        ("exceptions", WasmFeatures::EXCEPTIONS),
        ("legacy-exceptions", WasmFeatures::LEGACY_EXCEPTIONS),
    ];
    let all = config().features.for_validator();
    let valid_with = |features| Validator::new_with_features(features).validate_all(binary).is_ok();
    let needed = FEATURES.iter().filter(|(_, feature)| !valid_with(all.difference(*feature)));
    needed.map(|(name, _)| *name).collect()
}
