//! More of them: what a compiler in one pass has to be asked, and shapes that public issues of other compilers tell of. Each exports
//! `f: (i32) -> i32`, like those of [`crate::shapes`].

use crate::encode::*;

const I64: u8 = 0x7e;
const F32: u8 = 0x7d;
const F64: u8 = 0x7c;
const V128: u8 = 0x7b;
const DROP: u8 = 0x1a;
const IF: [u8; 2] = [0x04, 0x40];
const ELSE: u8 = 0x05;
const UNREACHABLE: u8 = 0x00;
const BR_IF_0: [u8; 2] = [0x0d, 0];

/// A function with groups of locals.
fn function_of(locals: &[(usize, u8)], code: &[&[u8]]) -> Vec<u8> {
    functions(&[one()], &[(0, body(locals, code))], &section(5, &[1, 0, 16]))
}

fn body(locals: &[(usize, u8)], code: &[&[u8]]) -> Vec<u8> {
    let groups = locals.iter().flat_map(|&(count, ty)| [leb(count), vec![ty]].concat());
    [leb(locals.len()), groups.collect(), code.concat(), vec![END]].concat()
}

fn tee(local: usize) -> Vec<u8> {
    [vec![0x22], leb(local)].concat()
}

fn br_table(targets: &[usize], default: usize) -> Vec<u8> {
    [vec![0x0e], leb(targets.len()), targets.iter().flat_map(|&target| leb(target)).collect(), leb(default)].concat()
}

/// `n` statements of all kinds, as a program has them: 60 bytes each.
pub fn mixed(n: usize) -> Vec<u8> {
    let statement = |k: usize| {
        let (a, b, c) = (1 + k % 20, 1 + k * 7 % 20, 1 + k * 11 % 20);
        [
            [get(a), get(b), vec![ADD], constant(k as i64 * 31), vec![0x73], tee(c), set(a)].concat(),
            [get(b), constant(0xffff), vec![0x71, 0x28, 2], leb(k % 5000), get(c), vec![ADD], set(b)].concat(),
            [BLOCK.to_vec(), get(a), get(b), vec![0x48], BR_IF_0.to_vec(), get(c), constant(3), vec![0x6c]].concat(),
            [set(c), vec![END], get(b), constant(0xfff), vec![0x71], get(a), vec![0x36, 2, 8]].concat(),
            [get(c), vec![0x04, I32], get(a), vec![ELSE], get(b), constant(1), vec![0x6b, END], set(a)].concat(),
        ]
        .concat()
    };
    function_of(&[(20, I32)], &[&each(n, statement), &get(1)])
}

/// `n` locals of each of four types, in groups of one: each is read and written.
pub fn locals_of_all_types(n: usize) -> Vec<u8> {
    let types = [I64, F64, EXTERNREF, V128];
    let groups: Vec<(usize, u8)> = (0..4 * n).map(|k| (1, types[k % 4])).collect();
    let uses = each(4 * n, |k| [get(1 + k), set(1 + (k + 4) % (4 * n))].concat());
    function_of(&groups, &[&uses, &GET])
}

/// `n` locals, each set from the one before.
pub fn copies(n: usize) -> Vec<u8> {
    function_of(&[(n, I32)], &[&GET, &set(1), &each(n - 1, |k| [get(1 + k), set(2 + k)].concat()), &get(n)])
}

/// A local is read `n` times before it is written, again and again.
pub fn pending(n: usize) -> Vec<u8> {
    let group = [GET.repeat(24), constant(1), SET.to_vec(), vec![ADD; 23], SET.to_vec()].concat();
    function(&[&group.repeat(n), &GET])
}

/// `n` `select`s, each of the last one's result.
pub fn selects(n: usize) -> Vec<u8> {
    function(&[&GET, &each(n, |k| [constant(k as i64), GET.to_vec(), vec![0x1b]].concat())])
}

/// `n` operands, and as many calls above them.
pub fn calls_above_a_stack(n: usize) -> Vec<u8> {
    let caller = body(&[], &[&GET.repeat(n), &[&GET[..], &[0x10, 1, DROP]].concat().repeat(n), &vec![ADD; n - 1]]);
    functions(&[one()], &[(0, caller), (0, body(&[], &[&GET]))], &[])
}

/// `n` operands, and as many blocks, loops and branches above them.
pub fn blocks_above_a_stack(n: usize) -> Vec<u8> {
    let block = [&BLOCK[..], &GET, &BR_IF_0, &LOOP, &[END, END]].concat();
    function(&[&GET.repeat(n), &block.repeat(n), &vec![ADD; n - 1]])
}

/// `n` vector constants, all different.
pub fn vectors(n: usize) -> Vec<u8> {
    let step = |k: usize| {
        let number = |salt: usize| ((k + 1) * salt).to_le_bytes();
        [&[0xfd, 12], &number(0x9e37_79b9)[..], &number(0x85eb_ca6b), &[0xfd, 0x51], &set(1)[..], &get(1)].concat()
    };
    function_of(&[(1, V128)], &[&get(1), &each(n, step), &[DROP], &GET])
}

/// `n` numbers of 64 bits and floats.
pub fn numbers(n: usize) -> Vec<u8> {
    let step = |k: usize| {
        let bytes = ((k + 1) * 0x9e37_79b9_7f4a).to_le_bytes();
        let long = [&[0x42, 0xff, 0xff, 0xff, 0xff, 0xff], &leb(k << 8 | 1)[..], &[0x7c]].concat();
        [&[0x44], &bytes[..], &set(2), &[0x43], &bytes[..4], &set(3), &get(1), &long, &set(1)].concat()
    };
    function_of(&[(1, I64), (1, F64), (1, F32)], &[&each(n, step), &GET])
}

/// `n` blocks with 1,000 parameters and 1,000 results in a row.
pub fn blocks_of_many(n: usize) -> Vec<u8> {
    of_many(&[0x02, 1, END].repeat(n))
}

/// The same inside each other.
pub fn nested_blocks_of_many(n: usize) -> Vec<u8> {
    of_many(&[[0x02, 1].repeat(n), vec![END; n]].concat())
}

/// `n` loops with 1,000 parameters and 1,000 results in a row.
pub fn loops_of_many(n: usize) -> Vec<u8> {
    of_many(&[0x03, 1, END].repeat(n))
}

/// `n` times `if` with 1,000 parameters, whose first arm ends.
pub fn ifs_of_many(n: usize) -> Vec<u8> {
    of_many(&[&GET[..], &[0x04, 1, UNREACHABLE, ELSE, END]].concat().repeat(n))
}

/// `n` branches that take 1,000 values along.
pub fn branches_of_many(n: usize) -> Vec<u8> {
    of_many(&[&[0x02, 1][..], &[&GET[..], &BR_IF_0].concat().repeat(n), &[END]].concat())
}

fn of_many(code: &[u8]) -> Vec<u8> {
    let types = [one(), signature(&[I32; 1000], &[I32; 1000])];
    functions(&types, &[(0, body(&[], &[&GET.repeat(1000), code, &[ADD; 999]]))], &[])
}

/// `n` calls with 1,000 arguments.
pub fn arguments(n: usize) -> Vec<u8> {
    let types = [one(), signature(&[I32; 1000], &[I32])];
    let call = [&GET.repeat(1000)[..], &[0x10, 1], &SET].concat();
    functions(&types, &[(0, body(&[], &[&call.repeat(n), &GET])), (1, body(&[], &[&GET]))], &[])
}

/// `n` calls, each with the arguments of the last one in another order.
pub fn arguments_exchanged(n: usize) -> Vec<u8> {
    let types = [one(), signature(&[I32; 4], &[])];
    let call = |k: usize| [0, 1, 2, 3].into_iter().flat_map(|j| get((k + j) % 4)).chain([0x10, 1]).collect::<Vec<_>>();
    functions(&types, &[(0, body(&[(3, I32)], &[&each(n, call), &GET])), (1, body(&[], &[]))], &[])
}

/// `n` functions of 100 calls each.
pub fn functions_of_calls(n: usize) -> Vec<u8> {
    let call = [&GET[..], &[0x10], &leb(n), &SET].concat();
    let mut bodies = vec![(0, body(&[], &[&call.repeat(100), &GET])); n];
    bodies.push((0, body(&[], &[&GET])));
    functions(&[one()], &bodies, &[])
}

/// `n` tiny blocks and loops.
pub fn tiny_blocks(n: usize) -> Vec<u8> {
    function(&[&[&BLOCK[..], &[END], &LOOP, &[END]].concat().repeat(n), &GET])
}

/// `n` blocks and loops inside each other, with a branch from each to the outermost.
pub fn nested_branches(n: usize) -> Vec<u8> {
    let nest = each(n, |k| [&BLOCK[..], &LOOP, &GET, &[0x0d], &leb(2 * k + 1)].concat());
    function(&[&nest, &vec![END; 2 * n], &GET])
}

/// `n` times `if` inside each other, in both arms by turns.
pub fn nested_ifs(n: usize) -> Vec<u8> {
    let open = [&GET[..], &IF, &GET, &IF, &[ELSE]].concat().repeat(n);
    let close = [&[END], &GET[..], &SET, &[ELSE], &GET, &SET, &[END]].concat().repeat(n);
    function(&[&open, &close, &GET])
}

/// `n` blocks inside each other that can't be reached.
pub fn nested_unreachable(n: usize) -> Vec<u8> {
    function(&[&[UNREACHABLE], &BLOCK.repeat(n), &vec![END; n], &GET])
}

/// A `br_table` of `n` targets in blocks of 50 depths, which take a value along.
pub fn br_table_at_depths(n: usize) -> Vec<u8> {
    let targets: Vec<usize> = (0..n).map(|k| k * 7 % 50).collect();
    function(&[&[0x02, I32].repeat(50), &constant(5), &GET, &br_table(&targets, 3), &[END; 50]])
}

/// The same with 8 values of several types.
pub fn br_table_of_many_values(n: usize) -> Vec<u8> {
    let targets: Vec<usize> = (0..n).map(|k| k * 7 % 50).collect();
    let types = [one(), signature(&[], &[I32, F64, I32, V128, I64, I32, F32, I32])];
    let values = [GET.to_vec(), get(1), GET.to_vec(), get(2), get(3), GET.to_vec(), get(4), GET.to_vec()].concat();
    let last = [vec![DROP; 7], vec![END]].concat();
    let code = [&[0x02, 1].repeat(50)[..], &values, &GET, &br_table(&targets, 3), &[END; 50], &last].concat();
    let locals = &[1, F64, 1, V128, 1, I64, 1, F32].map(|byte| byte);
    functions(&types, &[(0, [&[4], &locals[..], &code].concat())], &[])
}

/// Loops, 64 inside each other, before a `br_table` of 500 targets: `n` times.
pub fn loops_before_tables(n: usize) -> Vec<u8> {
    let table = br_table(&vec![63; 500], 63);
    function(&[&[&LOOP.repeat(63)[..], &BLOCK, &GET, &table, &[END; 64]].concat().repeat(n), &GET])
}

/// An interpreter: `n` arms in a loop, with a table of 16 of the arms at the end of each.
pub fn threaded_dispatch(n: usize) -> Vec<u8> {
    let table = |k: usize| br_table(&(0..16).map(|j| (k + j * 37) % n).collect::<Vec<_>>(), n);
    let arm = |k: usize| {
        let own: Vec<usize> = (0..16).map(|j| (k + j * 37) % (n - k)).collect();
        [&[END][..], &GET, &constant(k as i64 + 1), &[ADD], &SET, &GET, &br_table(&own, n - k - 1)].concat()
    };
    let nest = [&BLOCK[..], &LOOP, &BLOCK.repeat(n), &GET, &table(0)].concat();
    function(&[&nest, &each(n - 1, arm), &[END, END, END], &GET])
}

/// `n` switches inside each other.
pub fn nested_switches(n: usize) -> Vec<u8> {
    let open = [&BLOCK.repeat(3)[..], &GET, &br_table(&[0, 1, 0, 2], 1), &[END]].concat();
    function(&[&open.repeat(n), &vec![END; 2 * n], &GET])
}

/// `n` operators that may trap, at a place of its own each.
pub fn traps(n: usize) -> Vec<u8> {
    let step = [&GET[..], &GET, &[0x6d], &SET, &GET, &IF, &[UNREACHABLE, END]].concat();
    function(&[&step.repeat(n), &GET])
}

/// `n` branches to a block that many registers have to be changed for, each time anew.
pub fn ways(n: usize) -> Vec<u8> {
    let (first, second): (Vec<u8>, Vec<u8>) = (
        each(10, |k| [get(1 + k), constant(1), vec![ADD], set(1 + k)].concat()),
        each(10, |k| [get(11 + k), constant(1), vec![ADD], set(11 + k)].concat()),
    );
    let branch = [&GET[..], &BR_IF_0].concat();
    function_of(&[(20, I32)], &[&BLOCK, &first, &branch, &second, &branch.repeat(n), &[END], &GET])
}

/// `n` loops while many references are in registers.
pub fn loops_with_references(n: usize) -> Vec<u8> {
    let reads = each(8, |k| [get(1 + k), set(1 + (k + 1) % 8)].concat());
    function_of(&[(8, EXTERNREF)], &[&reads, &[&LOOP[..], &[END]].concat().repeat(n), &GET])
}

/// A module with types of objects and exceptions.
fn text(n: usize, locals: &str, before: &str, body: impl Fn(usize) -> String, after: &str) -> Vec<u8> {
    let body: String = (0..n).map(body).collect();
    let many = "i32 ".repeat(1000);
    let text = format!(
        "(module
           (type $pair (struct (field $a (mut i32)) (field $b (mut i32))))
           (type $open (sub (func (param i32) (result i32))))
           (tag $e (param i32)) (tag $many (param {many}))
           (table 10 funcref) (memory 1)
           (global $kept (mut (ref null $pair)) (ref.null $pair))
           (func (export \"f\") (param $i i32) (result i32) (local $pair (ref null $pair)) {locals}
             {before} {body} {after} (local.get $i))
           (elem declare func $opened)
           (func $throw (param i32) (throw $e (local.get 0)))
           (func $opened (type $open) (i32.add (local.get 0) (i32.const 1))))"
    );
    ampoule::Module::binary_of_text(&text).unwrap()
}

/// `n` `try_table`s in a row, with a call in each.
pub fn tries(n: usize) -> Vec<u8> {
    text(
        n,
        "",
        "",
        |_| {
            "(drop (block $h (result i32) (try_table (catch $e $h) (call $throw (local.get $i))) (i32.const 0)))\n"
                .into()
        },
        "",
    )
}

/// `n` `try_table`s inside each other, with a call in each.
pub fn nested_tries(n: usize) -> Vec<u8> {
    let open = |_| "(block $h (result i32) (try_table (catch $e $h) (call $throw (local.get $i))\n".to_string();
    text(n, "", "", open, &") (i32.const 0)) (drop)".repeat(n))
}

/// One `try_table` with `n` clauses.
pub fn clauses(n: usize) -> Vec<u8> {
    let clause = |k: usize| if k.is_multiple_of(2) { "(catch $e $h) " } else { "(catch $e $g) " }.to_string();
    let before = "(drop (block $h (result i32) (block $g (result i32) (try_table ";
    text(n, "", before, clause, "(call $throw (local.get $i))) (i32.const 0)) (drop) (i32.const 0)))")
}

/// `n` clauses that take 1,000 values.
pub fn clauses_of_many(n: usize) -> Vec<u8> {
    let many = "i32 ".repeat(1000);
    let drops = "(drop)".repeat(1000);
    let before = format!("(block (block $h (result {many}) (try_table ");
    let after = format!("(call $throw (local.get $i))) (br 1)) {drops})");
    text(n, "", &before, |_| "(catch $many $h) ".into(), &after)
}

/// `n` calls in one `try_table`, with many locals in registers.
pub fn calls_in_a_try(n: usize) -> Vec<u8> {
    let call = "(local.set $x (i32.add (local.get $x) (local.get $y))) (call $throw (local.get $i))\n";
    text(n, "(local $x i32) (local $y i32)", "(block $h (try_table (catch_all $h)", |_| call.into(), "))")
}

/// `n` structs on the stack, all of them alive.
pub fn structs_on_the_stack(n: usize) -> Vec<u8> {
    text(n, "", "", |_| "(struct.new_default $pair)\n".into(), &"(drop)".repeat(n))
}

/// `n` structs made while many values are in registers.
pub fn structs_among_values(n: usize) -> Vec<u8> {
    let locals: String = (0..20).map(|k| format!("(local $x{k} i32) (local $y{k} f64)")).collect();
    let sets: String = (0..20)
        .map(|k| format!("(local.set $x{k} (i32.clz (local.get $i))) (local.set $y{k} (f64.neg (local.get $y{k})))"))
        .collect();
    text(n, &locals, &sets, |_| "(global.set $kept (struct.new_default $pair))\n".into(), "")
}

/// `n` calls through a table, of a type with subtypes.
pub fn indirect_calls(n: usize) -> Vec<u8> {
    text(n, "", "", |_| "(local.set $i (call_indirect (type $open) (local.get $i) (local.get $i)))\n".into(), "")
}

/// `n` copies of memory of a constant length.
pub fn bulk(n: usize) -> Vec<u8> {
    let step = "(memory.copy (local.get $i) (i32.const 8) (i32.const 64)) (memory.fill (local.get $i) (i32.const 8) (i32.const 64))\n";
    text(n, "", "", |_| step.into(), "")
}

/// `n` references on the stack, and `n` calls above them.
pub fn references_on_the_stack(n: usize) -> Vec<u8> {
    let types = [one(), signature(&[EXTERNREF], &[EXTERNREF])];
    let calls = [&get(1)[..], &[0x10, 1, DROP]].concat().repeat(n);
    let caller = body(&[(1, EXTERNREF)], &[&get(1).repeat(n), &calls, &vec![DROP; n], &GET]);
    functions(&types, &[(0, caller), (1, body(&[], &[&GET]))], &[])
}
