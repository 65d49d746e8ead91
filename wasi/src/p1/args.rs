//! `args_*` and `environ_*`: the strings a guest starts with, back to back, each ended by a NUL.

use super::call::{Args, Ctx};
use super::errno::Error;
use super::memory::GuestMemory;
use crate::host::Host;

/// `args_get(argv, argv_buf)`
pub fn args_get(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    get(arguments(ctx.host), memory, args.u32(0), args.u32(1))
}

/// `args_sizes_get() -> (count, size)`
pub fn args_sizes_get(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    sizes(arguments(ctx.host), memory, args.u32(0), args.u32(1))
}

/// `environ_get(environ, environ_buf)`
pub fn environ_get(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    get(environment(ctx.host), memory, args.u32(0), args.u32(1))
}

/// `environ_sizes_get() -> (count, size)`
pub fn environ_sizes_get(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    sizes(environment(ctx.host), memory, args.u32(0), args.u32(1))
}

/// The parts of one string, its NUL included.
type Parts<'a> = [&'a str; 4];

fn arguments(host: &Host) -> impl Iterator<Item = Parts<'_>> + Clone {
    host.args.iter().map(|arg| [arg, "", "", "\0"])
}

fn environment(host: &Host) -> impl Iterator<Item = Parts<'_>> + Clone {
    host.env.iter().map(|(name, value)| [name, "=", value, "\0"])
}

/// How many strings there are, and how many bytes in all. The host keeps both within 32 bits.
fn measure<'a>(strings: impl Iterator<Item = Parts<'a>>) -> (usize, usize) {
    strings.fold((0, 0), |(count, len), parts| (count + 1, len + parts.iter().map(|part| part.len()).sum::<usize>()))
}

fn get<'a>(
    strings: impl Iterator<Item = Parts<'a>> + Clone,
    memory: GuestMemory<'_>,
    pointers: u32,
    buffer: u32,
) -> Result<(), Error> {
    let (count, len) = measure(strings.clone());
    memory.check(pointers, count * 4)?;
    memory.check(buffer, len)?;
    // In 64 bits: both may end where the address space does. Below that all is in bounds, so the casts keep everything.
    let (mut pointer, mut address) = (u64::from(pointers), u64::from(buffer));
    for parts in strings {
        memory.write_u32(pointer as u32, address as u32)?;
        pointer += 4;
        for part in parts {
            memory.write(address as u32, part.as_bytes())?;
            address += part.len() as u64;
        }
    }
    Ok(())
}

fn sizes<'a>(
    strings: impl Iterator<Item = Parts<'a>>,
    memory: GuestMemory<'_>,
    count_address: u32,
    len_address: u32,
) -> Result<(), Error> {
    let (count, len) = measure(strings);
    memory.check(len_address, 4)?;
    memory.write_u32(count_address, count as u32)?;
    memory.write_u32(len_address, len as u32)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::WasiConfig;

    #[test]
    fn strings_lie_back_to_back() {
        let mut config = WasiConfig::new();
        config.set_args(["a".to_owned(), String::new(), "b\u{e9}".to_owned()]).expect("no NUL");
        config.set_env([("N".to_owned(), "v".to_owned())]).expect("no NUL");
        let host = config.build().host;
        assert_eq!(measure(arguments(&host)), (3, 7));
        assert_eq!(measure(environment(&host)), (1, 4));
        let mut bytes = [0xaa; 32];
        // SAFETY: borrowed for the view's life, and not touched meanwhile.
        let memory = unsafe { GuestMemory::new(bytes.as_mut_ptr(), bytes.len()) };
        assert!(get(arguments(&host), memory, 0, 12).is_ok());
        assert!(get(environment(&host), memory, 20, 28).is_ok());
        assert!(get(environment(&host), memory, 20, 29).is_err());
        assert_eq!(bytes[..12], [12, 0, 0, 0, 14, 0, 0, 0, 15, 0, 0, 0]);
        assert_eq!(bytes[12..19], *"a\0\0b\u{e9}\0".as_bytes());
        assert_eq!(bytes[20..24], [28, 0, 0, 0]);
        assert_eq!(bytes[28..], *b"N=v\0");
    }
}
