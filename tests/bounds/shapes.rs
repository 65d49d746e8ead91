//! Valid modules that cost some compiler too much. Each exports `f: (i32) -> i32`.

use crate::encode::*;

/// One block, a `br_table` of `n` equal targets.
pub fn br_table_one(n: usize) -> Vec<u8> {
    function(&[&BLOCK, &GET, &[0x0e], &leb(n), &vec![0; n + 1], &[END], &constant(6)])
}

/// Two blocks, `n` targets that alternate.
pub fn br_table_two(n: usize) -> Vec<u8> {
    let targets = [0, 1].repeat(n / 2);
    let table = [leb(targets.len()), targets, vec![0]].concat();
    function(&[&BLOCK, &BLOCK, &GET, &[0x0e], &table, &[END], &constant(5), &[RETURN, END], &constant(6)])
}

/// `n` blocks, `n` different targets.
pub fn br_table_all(n: usize) -> Vec<u8> {
    let ends = [vec![END], constant(7), vec![RETURN]].concat().repeat(n);
    function(&[&BLOCK.repeat(n), &GET, &[0x0e], &leb(n - 1), &each(n, leb), &ends, &constant(8)])
}

/// `n` blocks with a result, `n` different targets that take one along.
pub fn br_table_values(n: usize) -> Vec<u8> {
    function(&[&[0x02, I32].repeat(n), &constant(5), &GET, &[0x0e], &leb(n - 1), &each(n, leb), &vec![END; n]])
}

/// `n` blocks in a row, each adds 1 to a local.
pub fn blocks(n: usize) -> Vec<u8> {
    let block = [&BLOCK[..], &GET, &constant(1), &[ADD], &SET, &[END]].concat();
    function(&[&block.repeat(n), &GET])
}

/// `n` blocks inside each other.
pub fn nested(n: usize) -> Vec<u8> {
    function(&[&BLOCK.repeat(n), &vec![END; n], &GET])
}

/// `n` loops inside each other, each left by a branch.
pub fn nested_loops(n: usize) -> Vec<u8> {
    let ends = [&GET[..], &[0x45, 0x0d, 0, END]].concat().repeat(n);
    function(&[&LOOP.repeat(n), &GET, &constant(1), &[ADD], &SET, &ends, &GET])
}

/// `n` ways out of a function in a row, and what is left then: each needs the same product.
pub fn ways_out(n: usize) -> Vec<u8> {
    let product = [&get(1)[..], &get(1), &[0x6c]].concat();
    let store = |k: usize| [&get(2)[..], &constant(k as i64), &[0x36, 2, 0]].concat();
    let way = |k: usize| [&[0x20, 0, 0x2d, 0][..], &leb(k), &[0x04, 0x40], &store(k), &GET, &[RETURN, END]].concat();
    let code = [&product[..], &set(2), &each(n, way), &store(0), &GET].concat();
    functions(&[one()], &[(0, [vec![1, 2, I32], code, vec![END]].concat())], &section(5, &[1, 0, 16]))
}

/// `n` small loops in a row, each left by a branch, inside of `depth` blocks.
fn small_loops(n: usize, depth: usize) -> Vec<u8> {
    let one = [&LOOP[..], &GET, &constant(1), &[ADD], &SET, &GET, &[0x45, 0x0d, 0, END]].concat();
    function(&[&BLOCK.repeat(depth), &one.repeat(n), &vec![END; depth], &GET])
}

/// `n` small loops in a row.
pub fn loops(n: usize) -> Vec<u8> {
    small_loops(n, 0)
}

/// `n` small loops in a row, inside of as many blocks.
pub fn deep_loops(n: usize) -> Vec<u8> {
    small_loops(n, n)
}

/// `n` loops in a row over elements: some are vectorized, and all have much to be compared before it is known.
pub fn element_loops(n: usize) -> Vec<u8> {
    let copies: String = (0..8)
        .map(|k| {
            format!(
                "(i32.store8 offset={k} (local.get $i) (i32.xor (i32.load8_u offset={k} (local.get $i)) (local.get $j)))
                 (local.set $sum (i32.xor (i32.load8_u offset={k} (local.get $j)) (local.get $sum)))\n"
            )
        })
        .collect();
    let body: String = (0..n)
        .map(|k| {
            // Every other has an element that is unlike the others.
            let last = if k % 2 == 0 {
                String::new()
            } else {
                "(i32.store8 offset=7 (local.get $i) (local.get $sum))".to_string()
            };
            format!(
                "(loop $l{k} {copies} {last}
                   (local.set $j (i32.add (local.get $j) (i32.const 8)))
                   (br_if $l{k} (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 8))) (i32.const 800))))"
            )
        })
        .collect();
    let text = format!(
        "(module (memory 1) (func (export \"f\") (param $i i32) (result i32) (local $j i32) (local $sum i32) {body} (local.get $sum)))"
    );
    ampoule::Module::binary_of_text(&text).unwrap()
}

/// A sum of `n` loads.
pub fn loads(n: usize) -> Vec<u8> {
    let load = |k: usize| [&GET[..], &[0x28, 2], &leb(k % 60000), &[ADD]].concat();
    let body = [&[0][..], &GET, &each(n, load), &[END]].concat();
    functions(&[one()], &[(0, body)], &section(5, &[1, 0, 16]))
}

/// `n` stores.
pub fn stores(n: usize) -> Vec<u8> {
    let store = |k: usize| [&GET[..], &GET, &[0x36, 2], &leb(k % 60000)].concat();
    let body = [&[0][..], &each(n, store), &GET, &[END]].concat();
    functions(&[one()], &[(0, body)], &section(5, &[1, 0, 16]))
}

/// A chain of `n` additions.
pub fn adds(n: usize) -> Vec<u8> {
    function(&[&GET, &[&GET[..], &[ADD]].concat().repeat(n)])
}

/// `n` values on the stack, then `n` additions.
pub fn stack(n: usize) -> Vec<u8> {
    let values = each(n + 1, |k| [&GET[..], &constant(k as i64), &[0x6c]].concat());
    function(&[&values, &vec![ADD; n]])
}

/// `n` different constants.
pub fn constants(n: usize) -> Vec<u8> {
    function(&[
        &GET,
        &each(n, |k| [constant(k as i64 * 77 + 1), vec![ADD, 0x22, 0], GET.to_vec(), vec![0x73]].concat()),
    ])
}

/// 1,000 locals, `n` loops that each set one.
pub fn locals(n: usize) -> Vec<u8> {
    let step = |k: usize| {
        let sum = [get(1 + k % 1000), constant(1), vec![ADD], set(1 + k * 7 % 1000)].concat();
        [&LOOP[..], &sum, &GET, &constant(0), &[0x48, 0x0d, 0, END]].concat()
    };
    function_with(1000, I32, &[&each(n, step), &GET])
}

/// As many locals as loops: each loop sets one, and all are read at the end.
pub fn locals_and_loops(n: usize) -> Vec<u8> {
    let step = |k: usize| [&LOOP[..], &GET, &set(1 + k), &GET, &constant(0), &[0x48, 0x0d, 0, END]].concat();
    function_with(n, I32, &[&each(n, step), &GET, &each(n, |k| [get(1 + k), vec![ADD]].concat())])
}

/// `n` statements `if (v == K) s = s * A`, as compilers write them without optimization: 34 new locals and 3 blocks each.
pub fn unoptimized(n: usize) -> Vec<u8> {
    let statement = |k: usize| {
        let local = |j: usize| 1 + 34 * k + j;
        let copies =
            |from: usize, to: usize| each(to - from, |j| [get(local(from + j)), set(local(from + j + 1))].concat());
        [
            [GET.to_vec(), set(local(0)), copies(0, 14), BLOCK.to_vec()].concat(),
            [get(local(14)), constant(k as i64), vec![0x47], set(local(15)), get(local(15)), vec![0x0d, 0]].concat(),
            [BLOCK.to_vec(), get(local(14)), constant(0x2a), vec![0x46, 0x0d, 0], GET.to_vec(), set(local(16))]
                .concat(),
            [copies(16, 32), GET.to_vec(), vec![0x04, 0x40], get(local(32)), constant(3), vec![0x6c], set(local(33))]
                .concat(),
            [vec![0x05], GET.to_vec(), set(local(33)), vec![END], get(local(33)), SET.to_vec(), vec![END, END]]
                .concat(),
        ]
        .concat()
    };
    function_with(34 * n, I32, &[&each(n, statement), &GET])
}

/// `n` calls of a function that returns its parameter.
pub fn inlined(n: usize) -> Vec<u8> {
    let caller = [&[0][..], &GET, &[0x10, 1].repeat(n), &[END]].concat();
    functions(&[one()], &[(0, caller), (0, [&[0][..], &GET, &[END]].concat())], &[])
}

/// `n` calls of a small function with 32 locals.
pub fn inlined_locals(n: usize) -> Vec<u8> {
    let call = [&GET[..], &[0x10, 1], &SET].concat();
    let caller = [&[0][..], &call.repeat(n), &GET, &[END]].concat();
    let callee = [&[1, 32, I32][..], &GET, &each(7, |k| vec![0x22, k as u8 + 1]), &[END]].concat();
    functions(&[one()], &[(0, caller), (0, callee)], &[])
}

/// `n` calls that hand 1,000 results to a function with 1,000 parameters.
pub fn results(n: usize) -> Vec<u8> {
    let types = [one(), signature(&[I32; 1000], &[I32]), signature(&[I32], &[I32; 1000])];
    let call = [&GET[..], &[0x10, 2, 0x10, 1], &SET].concat();
    let caller = [&[0][..], &call.repeat(n), &GET, &[END]].concat();
    let bodies =
        [(0, caller), (1, [&[0][..], &GET, &[END]].concat()), (2, [&[0][..], &GET.repeat(1000), &[END]].concat())];
    functions(&types, &bodies, &[])
}

/// `n` references in locals, and `n` calls during which they live.
pub fn references(n: usize) -> Vec<u8> {
    let types = [one(), signature(&[EXTERNREF], &[EXTERNREF])];
    let step = |k: usize| [get(1 + k), vec![0x10, 1], set(1 + (k + 1) % n)].concat();
    let caller = [vec![1], leb(n), vec![EXTERNREF], each(n, step), GET.to_vec(), vec![END]].concat();
    // It calls itself, so that it is called.
    let callee = [&[0][..], &GET, &[0xd1, 0x04, EXTERNREF], &GET, &[0x05], &GET, &[0x10, 1, END, END]].concat();
    functions(&types, &[(0, caller), (1, callee)], &[])
}

/// `n` equal types.
pub fn types(n: usize) -> Vec<u8> {
    functions(&vec![one(); n], &[(0, [&[0][..], &GET, &[END]].concat())], &[])
}

/// `n` functions that each return their parameter.
pub fn many_functions(n: usize) -> Vec<u8> {
    functions(&[one()], &vec![(0, [&[0][..], &GET, &[END]].concat()); n], &[])
}

/// A function with this in it, which may use types and locals of objects.
fn objects(n: usize, locals: &str, body: impl Fn(usize) -> String) -> Vec<u8> {
    let body: String = (0..n).map(body).collect();
    let many = "(field (mut i32)) ".repeat(1000);
    let text = format!(
        "(module
           (type $pair (struct (field $a (mut i32)) (field $b (mut i32))))
           (type $list (struct (field $head i32) (field $tail (ref null $list))))
           (type $many (struct {many}))
           (global $kept (mut (ref null $pair)) (ref.null $pair))
           (func (export \"f\") (param $i i32) (result i32) (local $pair (ref null $pair)) (local $list (ref null $list)) {locals}
             (local.set $pair (struct.new $pair (local.get $i) (local.get $i)))
             {body} (struct.get $pair $a (local.get $pair))))"
    );
    ampoule::Module::binary_of_text(&text).unwrap()
}

/// `n` structs that do not leave the function, each made of the last one.
pub fn structs(n: usize) -> Vec<u8> {
    objects(n, "", |_| {
        "(local.set $pair (struct.new $pair (struct.get $pair $b (local.get $pair)) (local.get $i)))\n".to_string()
    })
}

/// `n` structs that leave it.
pub fn structs_kept(n: usize) -> Vec<u8> {
    objects(n, "", |_| "(global.set $kept (struct.new_default $pair))\n".to_string())
}

/// `n` structs, each in a field of the next.
pub fn structs_in_structs(n: usize) -> Vec<u8> {
    objects(n, "", |_| "(local.set $list (struct.new $list (local.get $i) (local.get $list)))\n".to_string())
}

/// `n` ways on each of which one struct is written to.
pub fn struct_written(n: usize) -> Vec<u8> {
    objects(n, "", |_| {
        "(if (local.get $i) (then (struct.set $pair $a (local.get $pair) (local.get $i))))\n".to_string()
    })
}

/// `n` ways on each of which one struct takes the place of another.
pub fn structs_joined(n: usize) -> Vec<u8> {
    objects(n, "", |_| "(if (local.get $i) (then (local.set $pair (struct.new_default $pair))))\n".to_string())
}

/// `n` locals with structs, in a loop that may replace each.
pub fn structs_in_a_loop(n: usize) -> Vec<u8> {
    let locals: String = (0..n).map(|k| format!("(local $s{k} (ref null $pair)) ")).collect();
    objects(n, &locals, |k| {
        let new = |with| format!("(local.set $s{k} (struct.new $pair {with} (local.get $i)))");
        let (first, next) =
            (new("(local.get $i)".to_string()), new(format!("(struct.get $pair $b (local.get $s{k}))")));
        format!("{first} (loop $l{k} {next} (br_if $l{k} (local.get $i)))\n")
    })
}

/// `n` structs of a thousand fields.
pub fn structs_of_many_fields(n: usize) -> Vec<u8> {
    objects(n, "", |_| "(drop (struct.new_default $many))\n".to_string())
}
