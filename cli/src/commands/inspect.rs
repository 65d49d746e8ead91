//! `ampoule inspect`: what a module imports and exports, how large it is, and which proposals it needs.

use crate::module_file::{ModuleFile, base_config};
use crate::print;
use crate::units::show_bytes;
use ampoule::{Engine, Module};
use ampoule_core::module::ModuleDescription;
use anyhow::Result;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;
use wasmparser::{Validator, WasmFeatures};

/// Lists a module's imports, exports, sizes, and the features it needs.
#[derive(clap::Args)]
pub struct Args {
    /// A wasm or wat file.
    file: PathBuf,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    name: Option<String>,
    imports: Vec<Item>,
    exports: Vec<Item>,
    sizes: Sizes,
    features: Vec<&'static str>,
}

#[derive(Serialize)]
struct Item {
    /// The first name of an import.
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<String>,
    name: String,
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
        let engine = Engine::new(&base_config())?;
        let module = file.load(&engine)?;
        let report = Report::new(&module, needed_features(binary));
        if self.json {
            print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
        } else {
            print(&report.to_text())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Report {
    fn new(module: &Module, features: Vec<&'static str>) -> Self {
        let import = |(import, ty): (&ampoule_core::module::Import, ampoule::ExternType)| Item {
            module: Some(import.module.clone()),
            name: import.name.clone(),
            ty: ty.to_string(),
        };
        let export = |(export, ty): (&ampoule_core::module::Export, ampoule::ExternType)| Item {
            module: None,
            name: export.name.clone(),
            ty: ty.to_string(),
        };
        Self {
            name: module.name().map(str::to_string),
            imports: module.imports().map(import).collect(),
            exports: module.exports().map(export).collect(),
            sizes: Sizes::new(module.description()),
            features,
        }
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        if let Some(name) = &self.name {
            text += &format!("module {name}\n\n");
        }
        let names = |item: &Item| match &item.module {
            Some(module) => format!("{module}::{}", item.name),
            None => item.name.clone(),
        };
        for (title, items) in [("imports", &self.imports), ("exports", &self.exports)] {
            let rows: Vec<_> = items.iter().map(|item| (names(item), item.ty.clone())).collect();
            text += &table(&format!("{title} ({})", items.len()), &rows);
        }
        let sizes = &self.sizes;
        let mut rows = vec![
            ("module".to_string(), show_bytes(sizes.bytes)),
            ("code".to_string(), format!("{} in {} functions", show_bytes(sizes.code_bytes), sizes.functions)),
            ("data".to_string(), show_bytes(sizes.data_bytes)),
            ("globals".to_string(), sizes.globals.to_string()),
            ("tables".to_string(), sizes.tables.to_string()),
        ];
        rows.extend(sizes.memories.iter().map(|memory| ("memory".to_string(), memory.clone())));
        text += &table("sizes", &rows);
        let features = if self.features.is_empty() { "none".to_string() } else { self.features.join(" ") };
        text + &format!("features\n  {features}\n")
    }
}

/// A title, two columns, and an empty line.
fn table(title: &str, rows: &[(String, String)]) -> String {
    let width = rows.iter().map(|(left, _)| left.chars().count()).max().unwrap_or(0);
    let rows: String = rows.iter().map(|(left, right)| format!("  {left:width$}  {right}\n")).collect();
    format!("{title}\n{rows}\n")
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

/// The proposals beyond WebAssembly 1.0 without which a valid module would not be valid.
fn needed_features(binary: &[u8]) -> Vec<&'static str> {
    const FEATURES: [(&str, WasmFeatures); 15] = [
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
    ];
    let all = base_config().features.for_validator();
    let valid_with = |features| Validator::new_with_features(features).validate_all(binary).is_ok();
    let needed = FEATURES.iter().filter(|(_, feature)| !valid_with(all.difference(*feature)));
    needed.map(|(name, _)| *name).collect()
}
