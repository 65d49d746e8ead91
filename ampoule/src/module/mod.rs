//! Modules: validated code, ready to be instantiated any number of times.

// Public for the tests of a module's code by itself, and for whoever asks what a file is.
#[doc(hidden)]
pub mod artifact;
mod bytes;
#[doc(hidden)]
pub mod code_table;
#[cfg(feature = "compiler")]
pub(crate) mod compile;
#[cfg(feature = "compiler")]
mod progress;
mod reporter;
mod shared_bytes;
pub(crate) mod storage;
pub(crate) mod symbols;
#[cfg(feature = "compiler")]
mod text;

#[cfg(feature = "compiler")]
use crate::engine::COMPILER_STACK;
use crate::engine::Engine;
#[cfg(feature = "compiler")]
use crate::engine::cache::Cache;
use crate::engine::thunks::ArtifactThunks;
use crate::engine::type_registry::Type;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::error::backtrace::{Frame, Source, Symbolicate};
use crate::memory::cache::MemoryCache;
use crate::memory::image::{Check, MemoryImage};
pub(crate) use crate::module::bytes::ModuleBytes;
use crate::module::code_table::ModuleCode;
#[cfg(feature = "compiler")]
use crate::module::code_table::Wanted;
#[cfg(feature = "compiler")]
use crate::module::compile::{ModuleCompiler, code_capacity};
#[cfg(feature = "compiler")]
use crate::module::progress::Progress;
pub use crate::module::shared_bytes::SharedBytes;
use crate::module::symbols::Symbols;
use crate::module::symbols::demangle::demangle;
#[cfg(feature = "compiler")]
use ampoule_core::artifact::CompiledFunction;
use ampoule_core::const_expr::{ConstExpr, ConstOp};
use ampoule_core::decode;
use ampoule_core::index::*;
use ampoule_core::module::{ElemItems, ElemMode, Export, Import, Item, ModuleDescription, TableInit};
use ampoule_core::types::{ExternType, GlobalType, HeapType, TableType, TypeId};
use ampoule_core::vm::VmLayout;
use ampoule_core::words::Words;
#[cfg(feature = "compiler")]
use ampoule_machine::code::link::Text;
use ampoule_machine::code::registry;
use ampoule_machine::fiber::with_stack;
use ampoule_machine::os::sync::OnceLock;
use hashbrown::HashMap;
use std::any::Any;
use std::borrow::Cow;
use std::convert::Infallible;
use std::ffi::c_void;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Weak};

/// The functions that active segments put into a table, where they are known before instantiation.
pub(crate) type LazyImage = Arc<Words<Option<FuncIndex>>>;

/// Stack for what reads modules, and writes them.
const STACK: usize = 512 << 10;

/// A module. Cheap to clone; threads and stores may share it.
#[derive(Clone)]
pub struct Module(Arc<ModuleInner>);

struct ModuleInner {
    engine: Engine,
    description: Arc<ModuleDescription>,
    layout: Arc<VmLayout>,
    bytes: ModuleBytes,
    types: Box<[Type]>,
    /// See [`ampoule_core::vm::VmContext::type_words`]; none where the module needs no heap.
    type_words: Box<[u32]>,
    /// The same, as `VmContext::signatures` wants them.
    signature_words: Box<[*const c_void]>,
    code: Arc<ModuleCode>,
    exports: ExportIndex,
    /// What instantiation can take ready-made, worked out at the first one.
    plan: OnceLock<InstantiationPlan>,
    symbols: OnceLock<Symbols>,
}

// SAFETY: the signature words are addresses of the records beside them, only compared.
unsafe impl Send for ModuleInner {}
// SAFETY: as above.
unsafe impl Sync for ModuleInner {}

/// For each memory or table of a module's own, its initial contents where they are ready-made.
type Images<T> = Box<[Option<T>]>;

/// What every instantiation of a module has in common.
pub(crate) struct InstantiationPlan {
    /// For each memory of the module's own, its initial content where that can be mapped.
    pub(crate) images: Images<Arc<MemoryImage>>,
    /// Data segments before this one are in the images.
    pub(crate) first_data: usize,
    /// For each table of the module's own, what its lazy elements stand for.
    pub(crate) tables: Images<LazyImage>,
    /// Element segments before this one are in the tables.
    pub(crate) first_elem: usize,
}

/// From names to exports. Few names are compared one after another; many are hashed.
enum ExportIndex {
    Few,
    Many(HashMap<Box<str>, u32>),
}

const FEW: usize = 8;

impl Module {
    /// Compiles a module from its binary or text form. By default each function is compiled when it is first called.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] or [`ErrorKind::Text`] with the place and the reason.
    #[cfg(feature = "compiler")]
    pub fn new(engine: &Engine, bytes: &[u8]) -> Result<Module, Error> {
        if bytes.starts_with(b"\0asm") {
            return Module::from_binary(engine, bytes);
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Error::new(ErrorKind::Text("input bytes aren't valid utf-8".to_string())))?;
        Module::from_binary(engine, &Module::binary_of_text(text)?)
    }

    /// The binary form of a module's text form. It may still be invalid as a module.
    ///
    /// # Errors
    /// [`ErrorKind::Text`] with the place and the reason.
    #[cfg(feature = "compiler")]
    pub fn binary_of_text(text: &str) -> Result<Vec<u8>, Error> {
        with_stack(STACK, || text::binary_of(text, None))
    }

    /// The same, of text that was read from a file, which the error names with line and column.
    ///
    /// # Errors
    /// See [`Module::binary_of_text`].
    #[cfg(feature = "compiler")]
    pub fn binary_of_text_file(path: &Path, text: &str) -> Result<Vec<u8>, Error> {
        with_stack(STACK, || text::binary_of(text, Some(path)))
    }

    /// Compiles a module from its binary form; see [`Module::new`].
    ///
    /// # Errors
    /// See [`Module::new`].
    #[cfg(feature = "compiler")]
    pub fn from_binary(engine: &Engine, bytes: &[u8]) -> Result<Module, Error> {
        with_stack(STACK, || Module::compiled(engine, bytes, |needed| bytes[..needed].into()))
    }

    /// The same, of bytes that it may keep as they are.
    ///
    /// # Errors
    /// See [`Module::new`].
    #[cfg(feature = "compiler")]
    pub fn from_shared(engine: &Engine, bytes: SharedBytes) -> Result<Module, Error> {
        with_stack(STACK, || Module::compiled(engine, &bytes, |_| bytes.clone()))
    }

    #[cfg(feature = "compiler")]
    fn compiled(engine: &Engine, bytes: &[u8], keep: impl FnOnce(usize) -> SharedBytes) -> Result<Module, Error> {
        let cached = match &engine.config().cache {
            Some(cache) => Some((
                cache,
                Cache::key(&artifact::identity(made_for(engine))?, &engine.config().cranelift_flags, bytes),
            )),
            None => None,
        };
        // What is in the cache was valid when it came there, under the same key.
        if let Some((cache, key)) = &cached
            && let Some(loaded) = cache.load(key, |file, len| {
                artifact::load_part_of_file(engine.code_memory(), file, 0..len as u64, made_for(engine))
            })
        {
            return Module::loaded(engine, loaded);
        }
        let description = Arc::new(validated(engine, bytes).map_err(|invalid| invalid.into_error(bytes))?);
        // Profilers are told of lines.
        let with_debug = engine.profiler().is_some() || artifact::keeps_debug_sections(&engine.config().tunables);
        let bytes = keep(artifact::needed_len(&description, with_debug));
        let layout = Arc::new(VmLayout::new(&description));
        if let Some(pool) = engine.pool() {
            pool.check_module(&description, &layout)?;
        }
        let (count, imported) = (description.bodies.len(), description.num_imported_functions);
        let compiler = ModuleCompiler::of(engine);
        // What is compiled on the way to an entry of the cache.
        let progress = cached.as_ref().filter(|_| !engine.compiles_eagerly());
        let progress = progress.map(|(cache, key)| Arc::new(Progress::from(cache, key)));
        let compile = compiler.compile_fn(&description, &layout, &bytes, progress.as_ref());
        let code = if engine.compiles_eagerly() {
            let functions = code_table::compile_all(count, engine.config().parallel_compilation, &*compile)?;
            // It has the bytes.
            drop(compile);
            ModuleCode::linked(engine.code_memory(), Text::link(functions, imported)?, imported)?
        } else {
            ModuleCode::lazy(
                engine.code_memory(),
                count,
                imported,
                code_capacity(&description),
                description.func_refs.iter().filter_map(|&func| description.defined_func(func)).collect(),
                engine.tier_up().as_ref(),
                compile,
            )?
        };
        if let (Some((cache, key)), Some(progress)) = (&cached, &progress) {
            compiler.compile_for(cache, *key, &description, &layout, &bytes, progress);
        }
        let bytes = if engine.compiles_eagerly() {
            ModuleBytes::compiled(bytes, &description)
        } else {
            ModuleBytes::Whole(bytes)
        };
        let module = Module::assemble(engine, description, layout, bytes, code)?;
        if let Some((cache, key)) = cached.filter(|_| engine.compiles_eagerly()) {
            cache.store(&key, &module.serialize()?);
        }
        Ok(module)
    }

    /// Without a compiler there are no modules but deserialized ones.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(feature = "compiler"))]
    pub fn from_binary(_: &Engine, _: &[u8]) -> Result<Module, Error> {
        Err(Error::no_compiler())
    }

    /// Without a compiler there are no modules but deserialized ones.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(feature = "compiler"))]
    pub fn from_shared(_: &Engine, _: SharedBytes) -> Result<Module, Error> {
        Err(Error::no_compiler())
    }

    /// Without a compiler there is no text format.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(feature = "compiler"))]
    pub fn binary_of_text(_: &str) -> Result<Vec<u8>, Error> {
        Err(Error::no_compiler())
    }

    /// Without a compiler nothing is serialized.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(feature = "compiler"))]
    pub fn serialize(&self) -> Result<Vec<u8>, Error> {
        Err(Error::no_compiler())
    }

    /// Whether bytes are a valid module for this engine.
    ///
    /// # Errors
    /// See [`Module::new`].
    pub fn validate(engine: &Engine, bytes: &[u8]) -> Result<(), Error> {
        let validate = || validated(engine, bytes).map(|_| ());
        with_stack(STACK, validate).map_err(|invalid| Error::new(ErrorKind::Invalid(invalid.error)))
    }

    /// The compiled module as bytes, for [`Module::deserialize`]. Compiles what hasn't been.
    ///
    /// # Errors
    /// [`ErrorKind::Compile`] where the back end refuses a function.
    #[cfg(feature = "compiler")]
    pub fn serialize(&self) -> Result<Vec<u8>, Error> {
        with_stack(STACK, || {
            let text = self.0.code.text(self.0.engine.config().parallel_compilation)?;
            ModuleCompiler::of(&self.0.engine).artifact(&self.0.description, &self.0.bytes, &text)
        })
    }

    /// The machine code that the engine's compiler makes of one of the module's own functions, before it is placed: for listings. It
    /// is made anew, and nothing runs it.
    ///
    /// # Errors
    /// [`ErrorKind::Compile`] where the back end refuses the function, or the module has no bodies any more: it was deserialized, or compiled
    /// as a whole.
    #[cfg(feature = "compiler")]
    pub fn compile_function(&self, func: DefinedFuncIndex) -> Result<CompiledFunction, Error> {
        let ModuleBytes::Whole(bytes) = &self.0.bytes else {
            let message = "the module is compiled, and the bodies of its functions are gone";
            return Err(Error::new(ErrorKind::Compile(message.to_string())));
        };
        let compile = ModuleCompiler::of(&self.0.engine).compile_fn(&self.0.description, &self.0.layout, bytes, None);
        with_stack(COMPILER_STACK, || compile(func, Wanted::ForGood))
            .map_err(|message| Error::new(ErrorKind::Compile(message)))
    }

    /// The module that [`Module::serialize`] wrote.
    ///
    /// # Errors
    /// [`ErrorKind::Artifact`] where the bytes are damaged, or made by another version, for another machine or another
    /// configuration.
    ///
    /// # Safety
    /// The bytes are code, and what is checked only catches mistakes: they must be what [`Module::serialize`] wrote.
    pub unsafe fn deserialize(engine: &Engine, bytes: &[u8]) -> Result<Module, Error> {
        with_stack(STACK, || {
            Module::loaded(engine, artifact::load_bytes(engine.code_memory(), bytes, made_for(engine))?)
        })
    }

    /// As [`Module::deserialize`], from a file, which is mapped rather than read.
    ///
    /// # Errors
    /// As [`Module::deserialize`], or where the file can't be opened or mapped.
    ///
    /// # Safety
    /// As [`Module::deserialize`]; and the file must not change while the module lives.
    pub unsafe fn deserialize_file(engine: &Engine, path: &Path) -> Result<Module, Error> {
        let file =
            std::fs::File::open(path).map_err(|error| Error::new(ErrorKind::System("failed to open file", error)))?;
        with_stack(STACK, || {
            Module::loaded(engine, artifact::load_file(engine.code_memory(), &file, made_for(engine))?)
        })
    }

    /// As [`Module::deserialize_file`], for a module that is a part of the file, from a page boundary on.
    ///
    /// # Errors
    /// As [`Module::deserialize_file`].
    ///
    /// # Safety
    /// As [`Module::deserialize_file`].
    #[doc(hidden)] // For artifacts of components, which have modules in them.
    pub unsafe fn deserialize_part(engine: &Engine, file: &std::fs::File, part: Range<u64>) -> Result<Module, Error> {
        with_stack(STACK, || {
            Module::loaded(engine, artifact::load_part_of_file(engine.code_memory(), file, part, made_for(engine))?)
        })
    }

    fn loaded(engine: &Engine, loaded: artifact::Loaded) -> Result<Module, Error> {
        let layout = Arc::new(VmLayout::new(&loaded.module));
        if let Some(pool) = engine.pool() {
            pool.check_module(&loaded.module, &layout)?;
        }
        let description = loaded.module;
        let thunks = Arc::new(ArtifactThunks::new(Arc::new(loaded.thunks), description.clone()));
        engine.add_thunks(&thunks);
        let kept = ModuleBytes::Kept(Arc::new(loaded.bytes), thunks);
        Module::assemble(engine, description, layout, kept, loaded.code)
    }

    pub(crate) fn assemble(
        engine: &Engine,
        description: Arc<ModuleDescription>,
        layout: Arc<VmLayout>,
        bytes: ModuleBytes,
        code: Arc<ModuleCode>,
    ) -> Result<Module, Error> {
        let types = engine.types().intern_module(&description)?;
        let inner = Arc::new(ModuleInner {
            engine: engine.clone(),
            signature_words: types.iter().map(Type::as_word).collect(),
            type_words: type_words(&description, &types)?,
            types,
            exports: ExportIndex::new(&description.exports),
            description,
            layout,
            bytes,
            code,
            plan: OnceLock::new(),
            symbols: OnceLock::new(),
        });
        let owner: Weak<ModuleInner> = Arc::downgrade(&inner);
        inner.code.set_owner(owner);
        if let Some(profiler) = engine.profiler() {
            inner.code.watch(Box::new(reporter::ModuleReporter::new(profiler, &inner.description, &inner.bytes)));
        }
        Ok(Module(inner))
    }

    /// The module whose machine code is at this address.
    pub(crate) fn at(pc: usize) -> Option<Module> {
        let owner = registry::lookup::<ModuleCode>(pc)?.owner()?;
        owner.downcast::<ModuleInner>().ok().map(Module)
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// Whether two handles are the same module.
    pub fn same(&self, other: &Module) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The name the module gives itself.
    pub fn name(&self) -> Option<&str> {
        self.0.description.name.as_deref()
    }

    /// Everything the module's bytes say.
    pub fn description(&self) -> &Arc<ModuleDescription> {
        &self.0.description
    }

    /// The imports, in order: names and type.
    pub fn imports(&self) -> impl Iterator<Item = (&Import, ExternType)> {
        self.0.description.imports.iter().map(|import| (import, self.item_type(import.item)))
    }

    /// The exports, in order: name and type.
    pub fn exports(&self) -> impl Iterator<Item = (&Export, ExternType)> {
        self.0.description.exports.iter().map(|export| (export, self.item_type(export.item)))
    }

    /// The type of an item. Declared types go by the engine's numbers, here and in the following.
    pub fn item_type(&self, item: Item) -> ExternType {
        infallible(self.0.description.item_type(item).try_map(&mut |id| Ok(self.engine_id(id))))
    }

    /// The type that a function, or a tag, is declared as, kept; `None` of other items.
    pub fn declared_type(&self, item: Item) -> Option<Type> {
        match item {
            Item::Func(func) => Some(self.signature(func).clone()),
            Item::Tag(tag) => Some(self.declared(self.description().tags[tag.index()]).clone()),
            _ => None,
        }
    }

    /// The type of a global.
    pub(crate) fn global_type(&self, index: GlobalIndex) -> GlobalType {
        infallible(self.0.description.globals[index.index()].try_map(&mut |id| Ok(self.engine_id(id))))
    }

    /// The type of a table.
    pub(crate) fn table_type(&self, index: TableIndex) -> TableType {
        infallible(self.0.description.tables[index.index()].try_map(&mut |id| Ok(self.engine_id(id))))
    }

    /// The engine's number of a type that the module declares.
    fn engine_id(&self, id: TypeId) -> TypeId {
        self.0.types[id.0 as usize].id()
    }

    /// The addresses of the module's machine code in this process: what was reserved for it, which may be more than there is so
    /// far.
    pub fn image_range(&self) -> Range<usize> {
        self.0.code.range()
    }

    pub(crate) fn layout(&self) -> &Arc<VmLayout> {
        &self.0.layout
    }

    pub(crate) fn bytes(&self) -> &ModuleBytes {
        &self.0.bytes
    }

    pub(crate) fn code(&self) -> &Arc<ModuleCode> {
        &self.0.code
    }

    pub(crate) fn signature_words(&self) -> *const *const c_void {
        self.0.signature_words.as_ptr()
    }

    pub(crate) fn type_words(&self) -> *const u32 {
        self.0.type_words.as_ptr()
    }

    pub(crate) fn signature_word(&self, ty: TypeIndex) -> *const c_void {
        self.0.signature_words[ty.index()]
    }

    /// The types of the type section, as the engine knows them.
    pub(crate) fn types(&self) -> &[Type] {
        &self.0.types
    }

    /// A type of the type section, as the engine knows it.
    pub(crate) fn declared(&self, ty: TypeIndex) -> &Type {
        &self.0.types[ty.index()]
    }

    pub(crate) fn signature(&self, func: FuncIndex) -> &Type {
        self.declared(self.0.description.functions.at(func.index()))
    }

    /// What is exported under a name.
    #[inline]
    pub fn export_item(&self, name: &str) -> Option<Item> {
        let exports = &self.0.description.exports;
        match &self.0.exports {
            ExportIndex::Few => exports.iter().find(|export| export.name == name).map(|export| export.item),
            ExportIndex::Many(positions) => positions.get(name).map(|&position| exports[position as usize].item),
        }
    }

    /// The name that the module's name section gives a function.
    pub fn function_name(&self, func: FuncIndex) -> Option<&str> {
        self.symbols().function_name(func)
    }

    /// The same name as the function's source language writes it.
    pub fn demangled_function_name(&self, func: FuncIndex) -> Option<Cow<'_, str>> {
        self.function_name(func).map(demangle)
    }

    /// Names and source positions, for backtraces.
    pub(crate) fn symbols(&self) -> &Symbols {
        self.0.symbols()
    }

    /// What frames of this module's functions keep.
    pub(crate) fn symbolicate(&self) -> Arc<dyn Symbolicate> {
        self.0.clone()
    }

    /// Whether a frame is of a function of this module.
    pub(crate) fn has_frame(&self, frame: &Frame) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.0), Arc::as_ptr(&frame.code))
    }

    /// What every instantiation has in common, once [`Module::prepare`] has made it.
    pub(crate) fn plan(&self) -> &InstantiationPlan {
        self.0.plan.get().expect("an instantiation prepares its module first")
    }

    /// Makes the plan, unless it is there. Another thread that makes it at the same time doesn't wait: it could not be woken.
    ///
    /// # Errors
    /// Those of `check`, which is asked before each portion of work.
    pub(crate) fn prepare(&self, check: Check<'_>) -> Result<(), Error> {
        if self.0.plan.get().is_none() {
            let plan = self.make_plan(check)?;
            self.0.plan.get_or_init(|| plan);
        }
        Ok(())
    }

    #[cold]
    fn make_plan(&self, check: Check<'_>) -> Result<InstantiationPlan, Error> {
        let module = &*self.0.description;
        if !module.datas.is_whole() || !module.elems.is_whole() {
            return Err(Error::new(ErrorKind::Artifact("the compiled module is damaged: its segments".to_string())));
        }
        let (images, first_data) = if self.0.engine.config().memory_init_cow {
            memory_images(module, &self.0.bytes, self.0.engine.instance_memories(), check)?
        } else {
            (module.memories[module.num_imported_memories..].iter().map(|_| None).collect(), 0)
        };
        let (tables, first_elem) = table_images(module, check)?;
        Ok(InstantiationPlan { images, first_data, tables, first_elem })
    }
}

impl ModuleInner {
    fn symbols(&self) -> &Symbols {
        self.symbols.get_or_init(|| Symbols::new(&self.description, &self.bytes))
    }
}

impl Symbolicate for ModuleInner {
    fn module_name(&self) -> Option<&str> {
        self.description.name.as_deref()
    }

    fn func_name(&self, func: FuncIndex) -> Option<&str> {
        self.symbols().function_name(func)
    }

    fn demangled_name(&self, func: FuncIndex) -> Option<Cow<'_, str>> {
        self.func_name(func).map(demangle)
    }

    fn body_start(&self, func: FuncIndex) -> Option<usize> {
        let own = self.description.defined_func(func)?;
        Some(self.description.bodies[own.index()].start as usize)
    }

    fn sources(&self, offset: usize) -> Vec<Source> {
        if self.engine.config().tunables.backtrace_details { self.symbols().sources(offset) } else { Vec::new() }
    }

    fn hides_sources(&self) -> bool {
        let tunables = &self.engine.config().tunables;
        !tunables.backtrace_details && !tunables.debug_info && !self.description.debug_sections.is_empty()
    }
}

impl Frame {
    /// The function's module.
    pub fn module(&self) -> Module {
        let code: Arc<dyn Any + Send + Sync> = self.code.clone();
        Module(code.downcast().expect("code is of modules"))
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl ExportIndex {
    fn new(exports: &[Export]) -> Self {
        if exports.len() <= FEW {
            return ExportIndex::Few;
        }
        ExportIndex::Many(
            exports.iter().enumerate().map(|(at, export)| (export.name.as_str().into(), at as u32)).collect(),
        )
    }
}

/// What a conversion gave that can't fail.
fn infallible<T>(result: Result<T, Infallible>) -> T {
    let Ok(value) = result;
    value
}

/// The first words of objects of each of a module's types, if it makes any.
fn type_words(description: &ModuleDescription, types: &[Type]) -> Result<Box<[u32]>, Error> {
    if !description.uses_heap {
        return Ok(Box::default());
    }
    let word = |ty: &Type| if ty.ty().as_func().is_some() { Ok(0) } else { Ok(ty.word()?.0) };
    let mut words = types.iter().map(word).collect::<Result<Box<[u32]>, Error>>()?;
    for &ty in &description.tags {
        words[ty.index()] = types[ty.index()].word()?.0;
    }
    Ok(words)
}

/// What artifacts of this engine are made for, and must have been made for.
fn made_for(engine: &Engine) -> artifact::Expected<'_> {
    let config = engine.config();
    artifact::Expected { target: engine.target(), features: &config.features, tunables: &config.tunables }
}

/// Why bytes are no valid module, and the function body in which that shows, with the module, where it shows in one.
struct Invalid {
    error: decode::DecodeError,
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "without one, only validity is asked for"))]
    body: Option<(Box<ModuleDescription>, usize)>,
}

impl From<decode::DecodeError> for Invalid {
    fn from(error: decode::DecodeError) -> Self {
        Self { error, body: None }
    }
}

impl Invalid {
    /// The error of making a module of these bytes.
    #[cfg(feature = "compiler")]
    fn into_error(self, bytes: &[u8]) -> Error {
        let Some((module, position)) = self.body else { return self.error.into() };
        let func = (module.num_imported_functions + position) as u32;
        let section =
            module.name_section.as_ref().and_then(|range| bytes.get(range.start as usize..range.end as usize));
        let names = |section| ampoule_core::names::FunctionNames::read(section, module.functions.len());
        let name = section.and_then(|section| names(section).get(section, func).map(str::to_string));
        Error::new(ErrorKind::Body { func, name, error: self.error })
    }
}

/// Decodes and validates, the bodies on all cores where that pays. Of several invalid bodies the first is told.
fn validated(engine: &Engine, bytes: &[u8]) -> Result<ModuleDescription, Invalid> {
    let decode::Decoded { module, bodies } = decode::decode(bytes, &engine.config().features)?;
    match first_invalid(engine, bodies) {
        None => Ok(module),
        Some((position, error)) => Err(Invalid { error, body: Some((Box::new(module), position)) }),
    }
}

#[cfg_attr(not(feature = "compiler"), expect(unused_variables, reason = "threads come with the compiler"))]
fn first_invalid(engine: &Engine, bodies: Vec<decode::Body<'_>>) -> Option<(usize, decode::DecodeError)> {
    let check = |scratch: &mut decode::Scratch, (position, body)| {
        decode::validate_body(body, scratch).err().map(|error| (position, error))
    };
    #[cfg(feature = "compiler")]
    if engine.config().parallel_compilation && bodies.len() > 64 {
        use rayon::prelude::*;
        return crate::engine::parallel::on_all_cores(|| {
            let pieces = bodies.into_par_iter().with_min_len(32).enumerate();
            pieces.map_init(decode::Scratch::default, check).find_map_first(|invalid| invalid)
        });
    }
    let mut scratch = decode::Scratch::default();
    bodies.into_iter().enumerate().find_map(|body| check(&mut scratch, body))
}

/// The initial content of each own memory, where the leading data segments tell it without running anything.
fn memory_images(
    module: &ModuleDescription,
    bytes: &ModuleBytes,
    cache: &MemoryCache,
    check: Check<'_>,
) -> Result<(Images<Arc<MemoryImage>>, usize), Error> {
    let own = &module.memories[module.num_imported_memories..];
    let mut pieces: Vec<Vec<(u64, &[u8])>> = vec![Vec::new(); own.len()];
    let mut first_data = module.datas.len();
    for (position, data) in module.datas.iter().enumerate() {
        let Some((memory, offset)) = &data.active else { continue };
        check()?;
        let content = bytes.range(&data.bytes);
        let place = memory.index().checked_sub(module.num_imported_memories).zip(offset.constant_offset()).filter(
            |&(own_index, at)| {
                let ty = &own[own_index];
                let len = ty.min_byte_len().unwrap_or(0);
                !ty.shared
                    && ty.page_size_log2 == 16
                    && at.checked_add(content.len() as u64).is_some_and(|end| end <= len)
            },
        );
        let Some((own_index, at)) = place else {
            first_data = position;
            break;
        };
        pieces[own_index].push((at, content));
    }
    let mut images = Vec::with_capacity(own.len());
    for (pieces, ty) in pieces.iter().zip(own) {
        let len = ty.min_byte_len().and_then(|len| usize::try_from(len).ok());
        let image = match len.filter(|_| !pieces.is_empty()) {
            Some(len) => MemoryImage::new(len, pieces, cache, check)?,
            None => None,
        };
        if image.is_none() && !pieces.is_empty() {
            // An image that doesn't pay for one memory, or that the system has no file for: every segment is copied, in order.
            return Ok((own.iter().map(|_| None).collect(), 0));
        }
        images.push(image);
    }
    Ok((images.into(), first_data))
}

/// Elements a lazy table image may have: segments that lie farther behind are written.
const MAX_LAZY_ELEMENTS: usize = 1 << 20;

/// A table image that is longer than this has no more elements than this many times those in its segments: a segment of one
/// element is a few bytes of a module, wherever it lies.
const MAX_LAZY_ELEMENTS_PER_ITEM: usize = 4;
const SPARSE_LAZY_ELEMENTS: usize = 1 << 10;

/// What each own table's elements stand for, where the leading element segments tell it without running anything.
fn table_images(module: &ModuleDescription, check: Check<'_>) -> Result<(Images<LazyImage>, usize), Error> {
    let own = &module.tables[module.num_imported_tables..];
    /// What is known of one table.
    #[derive(Clone, Default)]
    struct Image {
        elements: Vec<Option<FuncIndex>>,
        /// Elements of all segments.
        items: usize,
    }
    let mut images: Vec<Option<Image>> = vec![None; own.len()];
    let mut first_elem = module.elems.len();
    for (position, elem) in module.elems.iter().enumerate() {
        let ElemMode::Active(table, offset) = &elem.mode else { continue };
        let items = &elem.items;
        let place = table.index().checked_sub(module.num_imported_tables).zip(offset.constant_offset());
        let fitting = place.filter(|&(own_index, at)| {
            let items_before = images[own_index].as_ref().map_or(0, |image| image.items);
            let most = ((items_before + items.len()) * MAX_LAZY_ELEMENTS_PER_ITEM).max(SPARSE_LAZY_ELEMENTS);
            let end = at.checked_add(items.len() as u64);
            matches!(module.table_inits[own_index], TableInit::Null)
                && end.is_some_and(|end| end <= own[own_index].min.min(most.min(MAX_LAZY_ELEMENTS) as u64))
        });
        let fitting = if are_functions(items, check)? { fitting } else { None };
        let Some((own_index, at)) = fitting else {
            first_elem = position;
            break;
        };
        let image = images[own_index].get_or_insert_default();
        let end = at as usize + items.len();
        if image.elements.len() < end {
            image.elements.resize(end, None);
        }
        for (start, to) in (0..).step_by(PORTION).zip(image.elements[at as usize..end].chunks_mut(PORTION)) {
            check()?;
            let from = start..start + to.len();
            match items {
                ElemItems::Funcs(funcs) => to.iter_mut().zip(&funcs[from]).for_each(|(to, &func)| *to = Some(func)),
                ElemItems::Exprs(exprs) => {
                    to.iter_mut().zip(&exprs[from]).for_each(|(to, expr)| *to = function_of(expr).flatten());
                }
            }
        }
        image.items += items.len();
    }
    let shared =
        |image: Option<Image>| check().map(|()| image.map(|image| Arc::new(image.elements.into_iter().collect())));
    Ok((images.into_iter().map(shared).collect::<Result<_, _>>()?, first_elem))
}

/// Elements that are read or written before it is asked whether to go on.
const PORTION: usize = 1 << 16;

/// Whether every element of a segment is a function or null.
fn are_functions(items: &ElemItems, check: Check<'_>) -> Result<bool, Error> {
    let ElemItems::Exprs(exprs) = items else { return Ok(true) };
    for part in exprs.chunks(PORTION) {
        check()?;
        if !part.iter().all(|expr| function_of(expr).is_some()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The function or null that an element is, if it is one.
fn function_of(expr: &ConstExpr) -> Option<Option<FuncIndex>> {
    match *expr.ops {
        [ConstOp::RefFunc(func)] => Some(Some(func)),
        [ConstOp::RefNull(ty)] if ty.top() == HeapType::Func => Some(None),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Engine};
    use std::cell::Cell;

    #[test]
    fn a_plan_is_given_up_between_portions() {
        // Elements of both forms, and data; half a million and two million of them.
        let wat = format!(
            r#"(module (table 600000 funcref) (memory 40) (func $f)
                (elem (i32.const 0) func {}) (elem (i32.const 300000) funcref {}) (data (i32.const 9) "{}"))"#,
            "$f ".repeat(300_000),
            "(ref.func $f) ".repeat(200_000),
            "x".repeat(2_000_000)
        );
        let module = Module::new(&Engine::new(&Config::default()).unwrap(), wat.as_bytes()).unwrap();
        let asked = Cell::new(0);
        let check = |most: usize| {
            asked.set(asked.get() + 1);
            if asked.get() > most { Err(Error::message("enough")) } else { Ok(()) }
        };
        let portions = (300_000 + 2 * 200_000) / PORTION + 2;
        for most in [0, 1, 2, portions] {
            asked.set(0);
            let error = module.prepare(&|| check(most)).unwrap_err();
            assert_eq!((error.to_string(), asked.get()), ("enough".to_string(), most + 1));
            assert!(module.0.plan.get().is_none());
        }
        module.prepare(&|| Ok(())).unwrap();
        let plan = module.plan();
        assert_eq!((plan.first_data, plan.first_elem), (1, 2));
        let table = plan.tables[0].as_ref().unwrap();
        assert_eq!((table.len(), table.iter().flatten().count()), (500_000, 500_000));
        assert!(plan.images[0].is_some());
    }

    #[test]
    #[cfg(feature = "compiler")]
    fn of_the_bytes_nothing_is_kept_behind_what_is_needed() {
        let mut bytes = Module::binary_of_text(r#"(module (func $f (export "f") (result i32) i32.const 7))"#).unwrap();
        let len = bytes.len();
        bytes.extend([0, 110, 10]);
        bytes.extend(b".debug_str");
        bytes.extend([7; 99]);
        let kept = |config: &Config| {
            let module = Module::new(&Engine::new(config).unwrap(), &bytes).unwrap();
            assert_eq!(module.function_name(FuncIndex(0)), Some("f"));
            let ModuleBytes::Whole(kept) = module.bytes() else { panic!("it was compiled here") };
            (kept.len(), module.symbols().has_dwarf())
        };
        assert_eq!(kept(&Config::default()), (len, false));
        let mut config = Config::default();
        config.backtrace_details(true);
        assert_eq!(kept(&config), (bytes.len(), true));
    }
}
