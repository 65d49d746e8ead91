//! One run of a function's IR: what it does that can be seen from outside.
//!
//! `cranelift-interpreter` does what instructions do to values; memory, calls and the way from block to block are done here. Functions of the
//! module that are called are run as they are without any pass, so that it doesn't matter whether they were inlined. Others are not known: they
//! are seen to be called, with what, and what they answer is what a hash makes of how many calls there were.

use crate::memory::{Access, Memory, References, hash, is_in_frame};
use cranelift_codegen::data_value::DataValue;
use cranelift_codegen::ir::{
    AtomicRmwOp, Block, BlockArg, BlockCall, ExceptionTable, ExceptionTableItem, ExternalName, FuncRef, Function, Inst,
    InstructionData, MemFlagsData, Opcode, Signature, Type, Value, types,
};
use cranelift_interpreter::address::{Address, AddressSize};
use cranelift_interpreter::frame::Frame;
use cranelift_interpreter::instruction::DfgInstructionContext;
use cranelift_interpreter::interpreter::LibCallHandler;
use cranelift_interpreter::state::{InterpreterFunctionRef, MemoryError, State};
use cranelift_interpreter::step::{ControlFlow, CraneliftTrap, step};

/// Instructions that a run has at most.
const STEPS: usize = 6000;
/// Calls that are in each other, at most.
const DEPTH: usize = 200;

/// What a function did that can be seen.
#[derive(Debug)]
pub struct Run {
    pub calls: Vec<Call>,
    pub end: End,
    /// What it wrote since the last call.
    pub memory: u64,
}

/// A call of something that is not known here.
#[derive(PartialEq, Eq, Debug)]
pub struct Call {
    callee: Callee,
    args: Vec<u128>,
    /// What was written since the call before.
    memory: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Callee {
    Named(u32, u32),
    Library(cranelift_codegen::ir::LibCall),
    At(u64),
}

#[derive(PartialEq, Eq, Debug)]
pub enum End {
    Returned(Vec<u128>),
    Trapped(u8),
    /// It took too many instructions or calls.
    Unfinished,
    /// There is an instruction that the interpreter lacks.
    Unknown(Opcode),
}

/// The functions of a module as they are without any pass.
pub trait Functions {
    /// The function that a name stands for, if it is one of them.
    fn named(&self, namespace: u32, index: u32) -> Option<&Function>;
}

/// A function that is being run.
struct Activation<'a> {
    frame: Frame<'a>,
    /// The instruction that is next; the call, while it runs.
    at: Inst,
    /// The addresses of its slots.
    slots: Vec<u64>,
}

struct Machine<'a> {
    seed: u64,
    functions: &'a dyn Functions,
    references: &'a References,
    memory: Memory<'a>,
    activations: Vec<Activation<'a>>,
    calls: Vec<Call>,
}

/// Runs a function; the seed says with what.
pub fn run<'a>(
    func: &'a Function,
    functions: &'a dyn Functions,
    references: &'a References,
    seed: u64,
    has_return_area: bool,
) -> Run {
    let memory = Memory::new(seed, references);
    let mut machine = Machine { seed, functions, references, memory, activations: Vec::new(), calls: Vec::new() };
    let params = func.signature.params.iter().enumerate();
    let args = params.map(|(at, param)| {
        // Return areas, as contexts, are where nothing else is.
        let is_address = at == 1 && has_return_area;
        let random = hash(&[seed, 2, at as u64]);
        match at {
            0 => DataValue::I64(references.vmctx as i64),
            _ if param.value_type == types::I64
                && random.is_multiple_of(8)
                && references.any(random >> 8).is_some() =>
            {
                DataValue::I64(references.any(random >> 8).unwrap_or_default() as i64)
            }
            _ => argument(random, param.value_type, is_address),
        }
    });
    let args = args.collect();
    machine.enter(func, args);
    let end = machine.run();
    Run { calls: machine.calls, end, memory: machine.memory.digest() }
}

/// A random value: small ones often.
fn argument(random: u64, ty: Type, is_address: bool) -> DataValue {
    let (word, kind) = (hash(&[random]), random >> 60);
    let word = match kind {
        _ if is_address => word,
        0..=4 => word % 20,
        5..=7 => word % 200,
        8 => 0,
        9 => word | u64::MAX << 8,
        _ => word,
    };
    match ty {
        types::F64 if kind < 12 => value((word as u8 as f64 / 3.0).to_bits().into(), ty),
        types::F32 if kind < 12 => value((word as u8 as f32 / 3.0).to_bits().into(), ty),
        _ => value(u128::from(word) << 64 | u128::from(word), ty),
    }
}

fn value(bits: u128, ty: Type) -> DataValue {
    DataValue::read_from_slice_le(&bits.to_le_bytes()[..ty.bytes() as usize], ty)
}

fn bits(value: &DataValue) -> u128 {
    let mut bytes = [0; 16];
    value.write_to_slice_le(&mut bytes[..value.ty().bytes() as usize]);
    u128::from_le_bytes(bytes)
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> End {
        for _ in 0..STEPS {
            if let Some(end) = self.instruction() {
                return end;
            }
        }
        End::Unfinished
    }

    fn enter(&mut self, func: &'a Function, args: Vec<DataValue>) {
        let entry = func.layout.entry_block().expect("it has code");
        let mut base = self.memory.new_frame();
        let mut slot = |size: u32| {
            let at = base;
            base += u64::from(size).next_multiple_of(16);
            at
        };
        let slots = func.sized_stack_slots.values().map(|data| slot(data.size)).collect();
        let mut frame = Frame::new(func);
        frame.set_all(func.dfg.block_params(entry), args);
        let at = func.layout.first_inst(entry).expect("blocks end in something");
        self.activations.push(Activation { frame, at, slots });
    }

    fn top(&mut self) -> &mut Activation<'a> {
        self.activations.last_mut().expect("something runs")
    }

    /// Does the next instruction. Answers how the run ended, if that was the last.
    fn instruction(&mut self) -> Option<End> {
        let top = self.top();
        let (func, inst) = (top.frame.function(), top.at);
        let dfg = &func.dfg;
        let data = dfg.insts[inst];
        let opcode = data.opcode();
        let get = |value: Value| top.frame.get(value).clone();
        let address = |base: Value, offset: i32| (bits(top.frame.get(base)) as u64).wrapping_add_signed(offset.into());
        let args = || -> Vec<DataValue> { dfg.inst_args(inst).iter().map(|&arg| get(arg)).collect() };
        match data {
            InstructionData::Load { flags, offset, arg, .. } => {
                let (address, access) = (address(arg, offset.into()), Access::new(func, dfg.mem_flags[flags]));
                return self.load(inst, address, access);
            }
            InstructionData::LoadNoOffset { opcode: Opcode::AtomicLoad, flags, arg } => {
                let (address, access) = (address(arg, 0), Access::new(func, dfg.mem_flags[flags]));
                return self.load(inst, address, access);
            }
            InstructionData::LoadNoOffset { opcode: Opcode::Bitcast, arg, .. } => {
                let result = value(bits(&get(arg)), dfg.value_type(dfg.first_result(inst)));
                self.answer(inst, [result]);
            }
            InstructionData::Store { args: [stored, base], flags, offset, .. } => {
                let (address, access) = (address(base, offset.into()), Access::new(func, dfg.mem_flags[flags]));
                let stored = get(stored);
                return self.store(opcode, stored, address, access);
            }
            InstructionData::StoreNoOffset { opcode: Opcode::AtomicStore, args: [stored, base], flags } => {
                let (address, access) = (address(base, 0), Access::new(func, dfg.mem_flags[flags]));
                let stored = get(stored);
                return self.store(opcode, stored, address, access);
            }
            InstructionData::AtomicRmw { args: [base, by], flags, op, .. } => {
                let (address, access) = (address(base, 0), Access::new(func, dfg.mem_flags[flags]));
                let by = get(by);
                return self
                    .exchange(inst, address, access, by.ty(), |old| Some(modified(op, old, bits(&by), by.ty())));
            }
            InstructionData::AtomicCas { args: [base, expected, by], flags, .. } => {
                let (address, access) = (address(base, 0), Access::new(func, dfg.mem_flags[flags]));
                let (expected, by) = (get(expected), get(by));
                let new = |old| (old == bits(&expected)).then(|| bits(&by));
                return self.exchange(inst, address, access, by.ty(), new);
            }
            InstructionData::StackAddr { stack_slot, offset, .. } => {
                let address = top.slots[stack_slot.as_u32() as usize].wrapping_add_signed(i32::from(offset).into());
                self.answer(inst, [DataValue::I64(address as i64)]);
            }
            // No frame is ever too large.
            _ if opcode == Opcode::GetStackPointer => self.answer(inst, [DataValue::I64(-1)]),
            InstructionData::FuncAddr { func_ref, .. } => {
                let address = match named(func, func_ref) {
                    Callee::Named(0, func) => References::code(func),
                    _ => return Some(End::Unknown(opcode)),
                };
                self.answer(inst, [DataValue::I64(address as i64)]);
            }
            InstructionData::Call { func_ref, .. } | InstructionData::TryCall { func_ref, .. } => {
                let signature = &dfg.signatures[dfg.ext_funcs[func_ref].signature];
                let (callee, args) = (named(func, func_ref), args());
                return self.call(inst, callee, signature, args);
            }
            InstructionData::CallIndirect { sig_ref, .. } => {
                let mut args = args();
                let callee = Callee::At(bits(&args.remove(0)) as u64);
                return self.call(inst, callee, &dfg.signatures[sig_ref], args);
            }
            InstructionData::TryCallIndirect { exception, .. } => {
                let mut args = args();
                let callee = Callee::At(bits(&args.remove(0)) as u64);
                return self.call(inst, callee, &dfg.signatures[dfg.exception_tables[exception].signature()], args);
            }
            InstructionData::Jump { destination, .. } => self.branch(destination, &[], &[]),
            InstructionData::Brif { arg, blocks, .. } => {
                let way = usize::from(bits(&get(arg)) == 0);
                self.branch(blocks[way], &[], &[]);
            }
            InstructionData::BranchTable { arg, table, .. } => {
                let table = &dfg.jump_tables[table];
                let index = usize::try_from(bits(&get(arg))).unwrap_or(usize::MAX);
                let way = table.as_slice().get(index).copied().unwrap_or(table.default_block());
                self.branch(way, &[], &[]);
            }
            _ if opcode == Opcode::Return => {
                let results = args();
                return self.leave(results);
            }
            _ if LACKING.contains(&opcode) => return Some(End::Unknown(opcode)),
            _ => return self.compute(inst, opcode),
        }
        None
    }

    /// Lets the interpreter do an instruction on values.
    fn compute(&mut self, inst: Inst, opcode: Opcode) -> Option<End> {
        let top = self.top();
        let dfg = &top.frame.function().dfg;
        let context = DfgInstructionContext::new(inst, dfg);
        match step(top, context) {
            Ok(ControlFlow::Assign(values)) => {
                let types = dfg.inst_results(inst).iter().map(|&result| dfg.value_type(result));
                let canonical = |(value, ty)| if MAKING_NANS.contains(&opcode) { canonical(value, ty) } else { value };
                let values = values.into_iter().zip(types).map(canonical);
                self.answer(inst, values);
                None
            }
            Ok(ControlFlow::Continue) => {
                self.answer(inst, []);
                None
            }
            Ok(ControlFlow::Trap(CraneliftTrap::User(code))) => Some(End::Trapped(code.as_raw().get())),
            Ok(_) | Err(_) => Some(End::Unknown(opcode)),
        }
    }

    /// Goes on behind an instruction that has these results.
    fn answer(&mut self, inst: Inst, values: impl IntoIterator<Item = DataValue>) {
        let top = self.top();
        let func = top.frame.function();
        for (&result, value) in func.dfg.inst_results(inst).iter().zip(values) {
            top.frame.set(result, value);
        }
        top.at = func.layout.next_inst(inst).expect("it is not the last");
    }

    fn load(&mut self, inst: Inst, address: u64, access: Access) -> Option<End> {
        let dfg = &self.top().frame.function().dfg;
        let (ty, opcode) = (dfg.value_type(dfg.first_result(inst)), dfg.insts[inst].opcode());
        let (len, sign_bits) = match opcode {
            Opcode::Uload8 => (1, 0),
            Opcode::Sload8 => (1, 8),
            Opcode::Uload16 => (2, 0),
            Opcode::Sload16 => (2, 16),
            Opcode::Uload32 => (4, 0),
            Opcode::Sload32 => (4, 32),
            Opcode::Load | Opcode::AtomicLoad => (ty.bytes() as usize, 0),
            _ if ty.is_vector() => (8, 0),
            other => return Some(End::Unknown(other)),
        };
        if let Some(code) = access.trap.filter(|_| self.memory.faults(address, len)) {
            return Some(End::Trapped(code));
        }
        let mut bytes = [0; 16];
        self.memory.read(access, address, &mut bytes[..len]);
        let mut loaded = u128::from_le_bytes(bytes);
        if let Opcode::Sload8x8 | Opcode::Sload16x4 | Opcode::Sload32x2 = opcode {
            loaded = widened(loaded, ty.lane_bits(), true);
        }
        if let Opcode::Uload8x8 | Opcode::Uload16x4 | Opcode::Uload32x2 = opcode {
            loaded = widened(loaded, ty.lane_bits(), false);
        }
        if sign_bits > 0 {
            let unused = 128 - sign_bits;
            loaded = ((loaded << unused) as i128 >> unused) as u128;
        }
        self.answer(inst, [value(loaded, ty)]);
        None
    }

    fn store(&mut self, opcode: Opcode, stored: DataValue, address: u64, access: Access) -> Option<End> {
        let len = match opcode {
            Opcode::Istore8 => 1,
            Opcode::Istore16 => 2,
            Opcode::Istore32 => 4,
            _ => stored.ty().bytes() as usize,
        };
        if let Some(code) = access.trap.filter(|_| self.memory.faults(address, len)) {
            return Some(End::Trapped(code));
        }
        self.memory.write(access, address, &bits(&stored).to_le_bytes()[..len]);
        let at = self.top().at;
        self.answer(at, []);
        None
    }

    /// Reads a value and writes what is made of it.
    fn exchange(
        &mut self,
        inst: Inst,
        address: u64,
        access: Access,
        ty: Type,
        new: impl FnOnce(u128) -> Option<u128>,
    ) -> Option<End> {
        let len = ty.bytes() as usize;
        if let Some(code) = access.trap.filter(|_| self.memory.faults(address, len)) {
            return Some(End::Trapped(code));
        }
        let mut bytes = [0; 16];
        self.memory.read(access, address, &mut bytes[..len]);
        let old = u128::from_le_bytes(bytes);
        if let Some(new) = new(old) {
            self.memory.write(access, address, &new.to_le_bytes()[..len]);
        }
        self.answer(inst, [value(old, ty)]);
        None
    }

    fn call(&mut self, inst: Inst, callee: Callee, signature: &Signature, args: Vec<DataValue>) -> Option<End> {
        let is_tail = self.top().frame.function().dfg.insts[inst].opcode().is_return();
        let (functions, references) = (self.functions, self.references);
        let callee = match callee {
            Callee::At(code) => references.func_at(code).map_or(callee, |func| Callee::Named(0, func)),
            _ => callee,
        };
        let known = match callee {
            Callee::Named(namespace, index) => functions.named(namespace, index),
            _ => None,
        };
        if let Some(func) = known {
            // Where it is inlined, what it throws goes nowhere.
            let opcode = self.top().frame.function().dfg.insts[inst].opcode();
            if opcode == Opcode::TryCall {
                return Some(End::Unknown(opcode));
            }
            if self.activations.len() == DEPTH {
                return Some(End::Unfinished);
            }
            if is_tail {
                self.activations.pop();
            }
            self.enter(func, args);
            return None;
        }
        let number = self.calls.len() as u64;
        self.let_callee_write(&args, number);
        // Where a frame is says nothing.
        let seen = |arg: &DataValue| match bits(arg) {
            bits if arg.ty() == types::I64 && is_in_frame(bits as u64) => u128::MAX,
            bits => bits,
        };
        let args = args.iter().map(seen).collect();
        let memory = match callee {
            Callee::At(_) => self.memory.seen_from_outside(),
            _ => self.memory.digest(),
        };
        self.calls.push(Call { callee, args, memory });
        self.memory.change();
        let seed = self.seed;
        let random = |at: usize| hash(&[seed, 3, number, at as u64]);
        let results = signature.returns.iter().enumerate();
        let results: Vec<_> = results.map(|(at, result)| argument(random(at), result.value_type, false)).collect();
        if is_tail {
            return self.leave(results);
        }
        let table = self.top().frame.function().dfg.insts[inst].exception_table();
        match table {
            None => self.answer(inst, results),
            Some(table) if random(9).is_multiple_of(4) => return self.catch(table, random(10)),
            Some(table) => self.normal_return(table, &results),
        }
        None
    }

    /// A callee that is given a place in a frame writes to what follows in that slot.
    fn let_callee_write(&mut self, args: &[DataValue], number: u64) {
        let access = Access::new(self.top().frame.function(), MemFlagsData::trusted());
        for address in args.iter().filter(|arg| arg.ty() == types::I64).map(|arg| bits(arg) as u64) {
            if !is_in_frame(address) {
                continue;
            }
            let slots = self.activations.iter().flat_map(|activation| {
                let sizes = activation.frame.function().sized_stack_slots.values().map(|data| u64::from(data.size));
                activation.slots.iter().zip(sizes).map(|(&base, size)| base..base + size)
            });
            let Some(slot) = slots.into_iter().find(|slot| slot.contains(&address)) else { continue };
            for at in address..slot.end {
                self.memory.write(access, at, &[hash(&[self.seed, 4, number, at - address]) as u8]);
            }
        }
    }

    fn normal_return(&mut self, table: ExceptionTable, results: &[DataValue]) {
        let way = *self.top().frame.function().dfg.exception_tables[table].normal_return();
        self.branch(way, results, &[]);
    }

    /// Goes on where exceptions are caught.
    fn catch(&mut self, table: ExceptionTable, payload: u64) -> Option<End> {
        let table = &self.top().frame.function().dfg.exception_tables[table];
        let way = table.items().find_map(|item| match item {
            ExceptionTableItem::Default(way) => Some(way),
            _ => None,
        });
        let Some(way) = way else { return Some(End::Unknown(Opcode::TryCall)) };
        self.branch(way, &[], &[payload, hash(&[payload])]);
        None
    }

    /// Returns from a function that was run.
    fn leave(&mut self, results: Vec<DataValue>) -> Option<End> {
        self.activations.pop();
        let Some(top) = self.activations.last() else {
            return Some(End::Returned(results.iter().map(bits).collect()));
        };
        let call = top.at;
        match top.frame.function().dfg.insts[call].exception_table() {
            Some(table) => self.normal_return(table, &results),
            None => self.answer(call, results),
        }
        None
    }

    fn branch(&mut self, way: BlockCall, results: &[DataValue], payload: &[u64]) {
        let top = self.top();
        let func = top.frame.function();
        let to: Block = way.block(&func.dfg.value_lists);
        let params = func.dfg.block_params(to);
        let args = way.args(&func.dfg.value_lists).zip(params).map(|(arg, &param)| match arg {
            BlockArg::Value(value) => top.frame.get(value).clone(),
            BlockArg::TryCallRet(at) => results[at as usize].clone(),
            BlockArg::TryCallExn(at) => value(payload[at as usize].into(), func.dfg.value_type(param)),
        });
        let args: Vec<DataValue> = args.collect();
        top.frame.set_all(params, args);
        top.at = func.layout.first_inst(to).expect("blocks end in something");
    }
}

/// What an atomic operator makes of two values of a type, in its lower bits.
fn modified(op: AtomicRmwOp, old: u128, by: u128, ty: Type) -> u128 {
    let signed = |bits: u128| (bits << (128 - ty.bits())) as i128;
    match op {
        AtomicRmwOp::Xchg => by,
        AtomicRmwOp::Add => old.wrapping_add(by),
        AtomicRmwOp::Sub => old.wrapping_sub(by),
        AtomicRmwOp::And => old & by,
        AtomicRmwOp::Nand => !(old & by),
        AtomicRmwOp::Or => old | by,
        AtomicRmwOp::Xor => old ^ by,
        AtomicRmwOp::Umin => old.min(by),
        AtomicRmwOp::Umax => old.max(by),
        AtomicRmwOp::Smin if signed(old) < signed(by) => old,
        AtomicRmwOp::Smax if signed(old) > signed(by) => old,
        AtomicRmwOp::Smin | AtomicRmwOp::Smax => by,
    }
}

/// The lower lanes of a vector, extended to lanes of so many bits.
fn widened(vector: u128, lane_bits: u32, is_signed: bool) -> u128 {
    let half = lane_bits / 2;
    let lane = |at: u32| {
        let unused = 128 - half;
        let shifted = vector << (unused - at * half);
        let lane = if is_signed { (shifted as i128 >> unused) as u128 } else { shifted >> unused };
        (lane & (u128::MAX >> (128 - lane_bits))) << (at * lane_bits)
    };
    (0..128 / lane_bits).map(lane).fold(0, |vector, lane| vector | lane)
}

/// What the interpreter has no code for, or not for vectors.
const LACKING: [Opcode; 9] = [
    Opcode::AvgRound,
    Opcode::ExtractVector,
    Opcode::GetFramePointer,
    Opcode::GetReturnAddress,
    Opcode::X86Pshufb,
    Opcode::Blendv,
    Opcode::X86Pmulhrsw,
    Opcode::X86Pmaddubsw,
    Opcode::X86Cvtt2dq,
];

/// Instructions that make NaNs: which, is left open, and differs where constants are computed.
const MAKING_NANS: [Opcode; 16] = [
    Opcode::Fadd,
    Opcode::Fsub,
    Opcode::Fmul,
    Opcode::Fdiv,
    Opcode::Sqrt,
    Opcode::Fma,
    Opcode::Fmin,
    Opcode::Fmax,
    Opcode::Ceil,
    Opcode::Floor,
    Opcode::Trunc,
    Opcode::Nearest,
    Opcode::Fpromote,
    Opcode::Fdemote,
    Opcode::FvpromoteLow,
    Opcode::Fvdemote,
];

/// A value with the one NaN in the place of any.
fn canonical(made: DataValue, ty: Type) -> DataValue {
    let (lane_bits, infinity, nan) = match ty.lane_type() {
        types::F32 => (32, 0x7f80_0000, 0x7fc0_0000),
        types::F64 => (64, 0x7ff0_0000_0000_0000, 0x7ff8_0000_0000_0000),
        _ => return made,
    };
    let lane = |at: u32| {
        let lane = bits(&made) >> (at * lane_bits) & (u128::MAX >> (128 - lane_bits));
        let is_nan = lane & (u128::MAX >> (129 - lane_bits)) > infinity;
        (if is_nan { nan } else { lane }) << (at * lane_bits)
    };
    value((0..ty.lane_count()).map(lane).fold(0, |vector, lane| vector | lane), ty)
}

fn named(func: &Function, func_ref: FuncRef) -> Callee {
    match &func.dfg.ext_funcs[func_ref].name {
        ExternalName::User(name) => {
            let name = &func.params.user_named_funcs()[*name];
            Callee::Named(name.namespace, name.index)
        }
        ExternalName::LibCall(call) => Callee::Library(*call),
        other => unreachable!("no code names {other:?}"),
    }
}

/// What the interpreter needs to compute: values. It is never asked for the rest.
impl<'a> State<'a> for Activation<'a> {
    fn get_current_function(&self) -> &'a Function {
        self.frame.function()
    }

    fn current_frame(&self) -> &Frame<'a> {
        &self.frame
    }

    fn current_frame_mut(&mut self) -> &mut Frame<'a> {
        &mut self.frame
    }

    fn get_function(&self, _: FuncRef) -> Option<&'a Function> {
        None
    }

    fn get_libcall_handler(&self) -> LibCallHandler {
        |_, _| unreachable!("calls are not its own")
    }

    fn push_frame(&mut self, _: &'a Function) {
        unreachable!("calls are not its own")
    }

    fn pop_frame(&mut self) {
        unreachable!("calls are not its own")
    }

    fn stack_address(
        &self,
        _: AddressSize,
        _: cranelift_codegen::ir::StackSlot,
        _: u64,
    ) -> Result<Address, MemoryError> {
        unreachable!("frames are not its own")
    }

    fn checked_load(
        &self,
        _: Address,
        _: Type,
        _: cranelift_codegen::ir::MemFlagsData,
    ) -> Result<DataValue, MemoryError> {
        unreachable!("memory is not its own")
    }

    fn checked_store(
        &mut self,
        _: Address,
        _: DataValue,
        _: cranelift_codegen::ir::MemFlagsData,
    ) -> Result<(), MemoryError> {
        unreachable!("memory is not its own")
    }

    fn function_address(&self, _: AddressSize, _: &ExternalName) -> Result<Address, MemoryError> {
        unreachable!("addresses are not its own")
    }

    fn get_function_from_address(&self, _: Address) -> Option<InterpreterFunctionRef<'a>> {
        None
    }

    fn resolve_global_value(&self, _: cranelift_codegen::ir::GlobalValue) -> Result<DataValue, MemoryError> {
        unreachable!("no code has one")
    }

    fn get_pinned_reg(&self) -> DataValue {
        unreachable!("no code has one")
    }

    fn set_pinned_reg(&mut self, _: DataValue) {
        unreachable!("no code has one")
    }
}
