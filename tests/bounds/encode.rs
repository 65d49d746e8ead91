//! Modules as bytes, put together by hand.

pub const I32: u8 = 0x7f;
pub const EXTERNREF: u8 = 0x6f;
pub const GET: [u8; 2] = [0x20, 0];
pub const SET: [u8; 2] = [0x21, 0];
pub const BLOCK: [u8; 2] = [0x02, 0x40];
pub const LOOP: [u8; 2] = [0x03, 0x40];
pub const END: u8 = 0x0b;
pub const RETURN: u8 = 0x0f;
pub const ADD: u8 = 0x6a;

pub fn leb(mut n: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let low = (n & 127) as u8;
        n >>= 7;
        out.push(low | if n == 0 { 0 } else { 128 });
        if n == 0 {
            return out;
        }
    }
}

pub fn constant(n: i64) -> Vec<u8> {
    let (mut n, mut out) = (n, vec![0x41]);
    loop {
        let low = (n & 127) as u8;
        n >>= 7;
        if n == 0 && low < 64 {
            out.push(low);
            return out;
        }
        out.push(low | 128);
    }
}

pub fn get(local: usize) -> Vec<u8> {
    [vec![0x20], leb(local)].concat()
}

pub fn set(local: usize) -> Vec<u8> {
    [vec![0x21], leb(local)].concat()
}

/// `make` of 0 to `n`, one after the other.
pub fn each(n: usize, make: impl FnMut(usize) -> Vec<u8>) -> Vec<u8> {
    (0..n).flat_map(make).collect()
}

pub fn vector(bytes: &[u8]) -> Vec<u8> {
    [leb(bytes.len()).as_slice(), bytes].concat()
}

pub fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id], vector(content).as_slice()].concat()
}

pub fn signature(params: &[u8], results: &[u8]) -> Vec<u8> {
    [&[0x60], vector(params).as_slice(), vector(results).as_slice()].concat()
}

/// The type of `f`.
pub fn one() -> Vec<u8> {
    signature(&[I32], &[I32])
}

/// A module of these types, and of functions with a type and a body each, of which the first is exported. `middle` are the sections between.
pub fn functions(types: &[Vec<u8>], bodies: &[(usize, Vec<u8>)], middle: &[u8]) -> Vec<u8> {
    let uses: Vec<u8> = bodies.iter().flat_map(|&(ty, _)| leb(ty)).collect();
    let code: Vec<u8> = bodies.iter().flat_map(|(_, body)| vector(body)).collect();
    [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &[leb(types.len()), types.concat()].concat()),
        section(3, &[leb(bodies.len()), uses].concat()),
        middle.to_vec(),
        section(7, b"\x01\x01f\0\0"),
        section(10, &[leb(bodies.len()), code].concat()),
    ]
    .concat()
}

/// A module of one function without locals.
pub fn function(code: &[&[u8]]) -> Vec<u8> {
    functions(&[one()], &[(0, [&[0], code.concat().as_slice(), &[END]].concat())], &[])
}

/// A module of one function with locals of a type.
pub fn function_with(locals: usize, ty: u8, code: &[&[u8]]) -> Vec<u8> {
    let body = [vec![1], leb(locals), vec![ty], code.concat(), vec![END]].concat();
    functions(&[one()], &[(0, body)], &[])
}
