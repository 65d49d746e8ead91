//! `fd_*`: what can be done with an open descriptor.
//!
//! Each function finds the descriptor, then asks what it is (`badf`, `spipe` or `notdir` when the wrong thing), how it
//! was opened (`badf`), what rights it holds (`notcapable`) and what its preopen permits (`perm`), in this order.

use super::abi::Args;
use super::memory::GuestMemory;
use super::types::{Errno, Error, FdFlags, FdStat, FileStat, FileType, FstFlags, Rights, size};
use crate::ctx::WasiCtx;
use crate::files::{DirPerms, FilePerms, OpenFile, filestat, timestamps};
use crate::table::{FdTable, Kind};
use rustix::fd::AsFd;
use rustix::fs::{Advice, FallocateFlags, SeekFrom};
use std::num::NonZeroU64;

/// `fd_advise(fd, offset, len, advice)`
pub fn fd_advise(ctx: &mut WasiCtx, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let (fd, offset, len) = (args.u32(0), args.u64(1), args.u64(2));
    let advice = match args.u32(3) {
        0 => Advice::Normal,
        1 => Advice::Sequential,
        2 => Advice::Random,
        3 => Advice::WillNeed,
        4 => Advice::DontNeed,
        5 => Advice::NoReuse,
        _ => return Err(Errno::Inval.into()),
    };
    let file = ctx.table.file(fd, Rights::FD_ADVISE)?;
    // Length zero means to the end, there as here.
    rustix::fs::fadvise(&file.file, offset, NonZeroU64::new(len), advice)?;
    Ok(())
}

/// `fd_allocate(fd, offset, len)`
pub fn fd_allocate(ctx: &mut WasiCtx, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let (fd, offset, len) = (args.u32(0), args.u64(1), args.u64(2));
    let file = writable(&ctx.table, fd, Rights::FD_ALLOCATE)?;
    rustix::fs::fallocate(&file.file, FallocateFlags::empty(), offset, len)?;
    Ok(())
}

/// `fd_close(fd)`
pub fn fd_close(ctx: &mut WasiCtx, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    ctx.table.remove(args.u32(0))?;
    Ok(())
}

/// `fd_datasync(fd)`
pub fn fd_datasync(ctx: &mut WasiCtx, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let file = ctx.table.file(args.u32(0), Rights::FD_DATASYNC)?;
    rustix::fs::fdatasync(&file.file)?;
    Ok(())
}

/// `fd_sync(fd)`
pub fn fd_sync(ctx: &mut WasiCtx, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let file = ctx.table.file(args.u32(0), Rights::FD_SYNC)?;
    rustix::fs::fsync(&file.file)?;
    Ok(())
}

/// `fd_fdstat_get(fd) -> fdstat`. Needs no right: it is how a guest learns its rights.
pub fn fd_fdstat_get(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let descriptor = ctx.table.get(args.u32(0))?;
    let (filetype, flags) = match &descriptor.kind {
        Kind::Stdin => (ctx.stdin.filetype(), FdFlags::NONE),
        Kind::Stdout => (ctx.stdout.filetype(), FdFlags::NONE),
        Kind::Stderr => (ctx.stderr.filetype(), FdFlags::NONE),
        Kind::File(file) => (file.filetype, file.flags),
        Kind::Dir(_) => (FileType::Directory, FdFlags::NONE),
    };
    let stat = FdStat { filetype, flags, rights: descriptor.rights, inheriting: descriptor.inheriting };
    memory.write(args.u32(1), &stat.to_bytes())?;
    Ok(())
}

/// `fd_fdstat_set_flags(fd, flags)`. Synchronized modes are chosen when opening; changing them is `inval`.
pub fn fd_fdstat_set_flags(ctx: &mut WasiCtx, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let flags = FdFlags::from_bits(args.u32(1).into()).ok_or(Errno::Inval)?;
    let descriptor = ctx.table.get_mut(args.u32(0))?;
    let held = descriptor.require(Rights::FD_FDSTAT_SET_FLAGS);
    let Kind::File(file) = &mut descriptor.kind else { return Err(Errno::Badf.into()) };
    held?;
    let changeable = FdFlags::APPEND.with(FdFlags::NONBLOCK);
    let fixed = file.flags.without(changeable);
    // Naming the modes that the file has anyway is no change.
    if !fixed.contains(flags.without(changeable)) {
        return Err(Errno::Inval.into());
    }
    file.flags = fixed.with(flags.and(changeable));
    Ok(())
}

/// `fd_fdstat_set_rights(fd, base, inheriting)`: gives rights up. Asking for one that isn't held is `notcapable`.
pub fn fd_fdstat_set_rights(ctx: &mut WasiCtx, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let descriptor = ctx.table.get_mut(args.u32(0))?;
    // A bit that no right has isn't held either.
    let rights = Rights::from_bits(args.u64(1)).ok_or(Errno::Notcapable)?;
    let inheriting = Rights::from_bits(args.u64(2)).ok_or(Errno::Notcapable)?;
    if !descriptor.rights.contains(rights) || !descriptor.inheriting.contains(inheriting) {
        return Err(Errno::Notcapable.into());
    }
    descriptor.rights = rights;
    descriptor.inheriting = inheriting;
    Ok(())
}

/// `fd_filestat_get(fd) -> filestat`
pub fn fd_filestat_get(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let descriptor = ctx.table.get(args.u32(0))?;
    descriptor.require(Rights::FD_FILESTAT_GET)?;
    let stat = match &descriptor.kind {
        Kind::Stdin => FileStat { filetype: ctx.stdin.filetype(), ..FileStat::NOTHING },
        Kind::Stdout => FileStat { filetype: ctx.stdout.filetype(), ..FileStat::NOTHING },
        Kind::Stderr => FileStat { filetype: ctx.stderr.filetype(), ..FileStat::NOTHING },
        Kind::File(file) => filestat(file.file.as_fd())?,
        Kind::Dir(dir) => filestat(dir.file.as_fd())?,
    };
    memory.write(args.u32(1), &stat.to_bytes())?;
    Ok(())
}

/// `fd_filestat_set_size(fd, size)`
pub fn fd_filestat_set_size(ctx: &mut WasiCtx, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let file = ctx.table.file(args.u32(0), Rights::FD_FILESTAT_SET_SIZE)?;
    permit(file.perms.contains(FilePerms::WRITE))?;
    // As `ftruncate` answers for a file opened without writing.
    if !file.writable {
        return Err(Errno::Inval.into());
    }
    rustix::fs::ftruncate(&file.file, args.u64(1))?;
    Ok(())
}

/// `fd_filestat_set_times(fd, atim, mtim, fst_flags)`
pub fn fd_filestat_set_times(ctx: &mut WasiCtx, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let flags = FstFlags::from_bits(args.u32(3).into()).ok_or(Errno::Inval)?;
    let times = timestamps(args.u64(1), args.u64(2), flags)?;
    let descriptor = ctx.table.get(args.u32(0))?;
    let (file, permitted) = match &descriptor.kind {
        Kind::File(file) => (&file.file, file.perms.contains(FilePerms::WRITE)),
        Kind::Dir(dir) => (&dir.file, dir.dir_perms.contains(DirPerms::WRITE)),
        _ => return Err(Errno::Badf.into()),
    };
    descriptor.require(Rights::FD_FILESTAT_SET_TIMES)?;
    permit(permitted)?;
    rustix::fs::futimens(file, &times)?;
    Ok(())
}

/// `fd_pread(fd, iovs, iovs_len, offset) -> size`
pub fn fd_pread(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let (fd, iovs, iovs_len, offset, result) = (args.u32(0), args.u32(1), args.u32(2), args.u64(3), args.u32(4));
    let descriptor = ctx.table.get(fd)?;
    let Kind::File(file) = &descriptor.kind else { return Err(not_a_file(&descriptor.kind, Rights::FD_READ).into()) };
    if !file.readable {
        return Err(Errno::Badf.into());
    }
    descriptor.require(Rights::FD_READ.with(Rights::FD_SEEK))?;
    let mut buffers = memory.iovecs(iovs, iovs_len)?;
    memory.check(result, 4)?;
    let count = rustix::io::preadv(&file.file, buffers.for_read(), offset)?;
    write_count(memory, result, count)
}

/// `fd_pwrite(fd, iovs, iovs_len, offset) -> size`
pub fn fd_pwrite(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let (fd, iovs, iovs_len, offset, result) = (args.u32(0), args.u32(1), args.u32(2), args.u64(3), args.u32(4));
    let descriptor = ctx.table.get(fd)?;
    let Kind::File(file) = &descriptor.kind else { return Err(not_a_file(&descriptor.kind, Rights::FD_WRITE).into()) };
    if !file.writable {
        return Err(Errno::Badf.into());
    }
    descriptor.require(Rights::FD_WRITE.with(Rights::FD_SEEK))?;
    let buffers = memory.iovecs(iovs, iovs_len)?;
    memory.check(result, 4)?;
    let count = rustix::io::pwritev(&file.file, buffers.for_write(), offset)?;
    write_count(memory, result, count)
}

/// `fd_prestat_get(fd) -> prestat`
pub fn fd_prestat_get(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let Kind::Dir(dir) = &ctx.table.get(args.u32(0))?.kind else { return Err(Errno::Badf.into()) };
    let name = dir.preopen.as_ref().ok_or(Errno::Badf)?;
    let mut prestat = [0; size::PRESTAT];
    let len = u32::try_from(name.len()).map_err(|_| Errno::Overflow)?;
    prestat[4..].copy_from_slice(&len.to_le_bytes());
    memory.write(args.u32(1), &prestat)?;
    Ok(())
}

/// `fd_prestat_dir_name(fd, path, path_len)`
pub fn fd_prestat_dir_name(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let Kind::Dir(dir) = &ctx.table.get(args.u32(0))?.kind else { return Err(Errno::Notdir.into()) };
    let name = dir.preopen.as_ref().ok_or(Errno::Notdir)?;
    if name.len() > args.u32(2) as usize {
        return Err(Errno::Nametoolong.into());
    }
    memory.write(args.u32(1), name.as_bytes())?;
    Ok(())
}

/// `fd_read(fd, iovs, iovs_len) -> size`
pub fn fd_read(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let (fd, iovs, iovs_len, result) = (args.u32(0), args.u32(1), args.u32(2), args.u32(3));
    let descriptor = ctx.table.get(fd)?;
    match &descriptor.kind {
        Kind::Stdin => (),
        Kind::File(file) if file.readable => (),
        _ => return Err(Errno::Badf.into()),
    }
    descriptor.require(Rights::FD_READ)?;
    let mut buffers = memory.iovecs(iovs, iovs_len)?;
    memory.check(result, 4)?;
    let count = match &descriptor.kind {
        Kind::File(file) => file.read(&mut buffers, &mut ctx.waiter)?,
        _ => ctx.stdin.read(&mut buffers, &mut ctx.waiter)?,
    };
    write_count(memory, result, count)
}

/// `fd_readdir(fd, buf, buf_len, cookie) -> size`
pub fn fd_readdir(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let (fd, buffer, buffer_len, cookie, result) = (args.u32(0), args.u32(1), args.u32(2), args.u64(3), args.u32(4));
    let descriptor = ctx.table.get_mut(fd)?;
    let held = descriptor.require(Rights::FD_READDIR);
    let Kind::Dir(dir) = &mut descriptor.kind else { return Err(Errno::Badf.into()) };
    held?;
    permit(dir.dir_perms.contains(DirPerms::READ))?;
    memory.check(buffer, buffer_len as usize)?;
    memory.check(result, 4)?;
    let mut used = 0;
    dir.read_entries(cookie, &mut ctx.waiter, |entry| {
        let mut header = [0; size::DIRENT];
        header[0..8].copy_from_slice(&entry.next.to_le_bytes());
        header[8..16].copy_from_slice(&entry.ino.to_le_bytes());
        let name_len = u32::try_from(entry.name.len()).map_err(|_| Errno::Nametoolong)?;
        header[16..20].copy_from_slice(&name_len.to_le_bytes());
        header[20] = entry.filetype as u8;
        // The last entry is cut where the buffer ends: a full buffer tells the guest that there is more.
        for part in [header.as_slice(), entry.name.as_bytes()] {
            let fits = part.len().min((buffer_len - used) as usize);
            memory.write(buffer + used, &part[..fits])?;
            used += fits as u32;
            if fits < part.len() {
                return Ok(false);
            }
        }
        Ok(true)
    })?;
    memory.write_u32(result, used)?;
    Ok(())
}

/// `fd_renumber(fd, to)`
pub fn fd_renumber(ctx: &mut WasiCtx, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    ctx.table.renumber(args.u32(0), args.u32(1))?;
    Ok(())
}

/// `fd_seek(fd, offset, whence) -> filesize`
pub fn fd_seek(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let (fd, offset, whence, result) = (args.u32(0), args.u64(1).cast_signed(), args.u32(2), args.u32(3));
    let place = match whence {
        0 => SeekFrom::Start(offset.cast_unsigned()),
        1 => SeekFrom::Current(offset),
        2 => SeekFrom::End(offset),
        _ => return Err(Errno::Inval.into()),
    };
    let needed = if whence == 1 && offset == 0 { Rights::FD_TELL } else { Rights::FD_SEEK };
    seek(ctx, memory, fd, place, needed, result)
}

/// `fd_tell(fd) -> filesize`
pub fn fd_tell(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    seek(ctx, memory, args.u32(0), SeekFrom::Current(0), Rights::FD_TELL, args.u32(1))
}

fn seek(
    ctx: &WasiCtx,
    memory: GuestMemory<'_>,
    fd: u32,
    place: SeekFrom,
    needed: Rights,
    result: u32,
) -> Result<(), Error> {
    let descriptor = ctx.table.get(fd)?;
    let file = match &descriptor.kind {
        Kind::File(file) => file,
        Kind::Dir(_) => return Err(Errno::Badf.into()),
        Kind::Stdin | Kind::Stdout | Kind::Stderr => return Err(Errno::Spipe.into()),
    };
    descriptor.require(needed)?;
    memory.check(result, 8)?;
    // The host refuses an offset that would be negative.
    if let SeekFrom::Start(offset) = place
        && i64::try_from(offset).is_err()
    {
        return Err(Errno::Inval.into());
    }
    let offset = rustix::fs::seek(&file.file, place)?;
    memory.write_u64(result, offset)?;
    Ok(())
}

/// `fd_write(fd, iovs, iovs_len) -> size`
pub fn fd_write(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let (fd, iovs, iovs_len, result) = (args.u32(0), args.u32(1), args.u32(2), args.u32(3));
    let descriptor = ctx.table.get(fd)?;
    match &descriptor.kind {
        Kind::Stdout | Kind::Stderr => (),
        Kind::File(file) if file.writable => (),
        _ => return Err(Errno::Badf.into()),
    }
    descriptor.require(Rights::FD_WRITE)?;
    let buffers = memory.iovecs(iovs, iovs_len)?;
    memory.check(result, 4)?;
    let count = match &descriptor.kind {
        Kind::File(file) => file.write(&buffers, &mut ctx.waiter)?,
        Kind::Stderr => ctx.stderr.write(&buffers, &mut ctx.waiter)?,
        _ => ctx.stdout.write(&buffers, &mut ctx.waiter)?,
    };
    write_count(memory, result, count)
}

/// The file numbered `fd`, opened for writing.
fn writable(table: &FdTable, fd: u32, needed: Rights) -> Result<&OpenFile, Errno> {
    let file = table.file(fd, Rights::NONE)?;
    if !file.writable {
        return Err(Errno::Badf);
    }
    table.file(fd, needed)
}

/// Why something that isn't a file has no offset to read or write at: a stream can be read or written, but not there.
fn not_a_file(kind: &Kind, needed: Rights) -> Errno {
    let direction = match kind {
        Kind::Stdin => Rights::FD_READ,
        Kind::Stdout | Kind::Stderr => Rights::FD_WRITE,
        Kind::File(_) | Kind::Dir(_) => Rights::NONE,
    };
    if direction == needed { Errno::Spipe } else { Errno::Badf }
}

/// `perm` unless the preopen's permissions allow it.
pub fn permit(permitted: bool) -> Result<(), Errno> {
    if permitted { Ok(()) } else { Err(Errno::Perm) }
}

/// Writes how many bytes were transferred; `result` was checked.
fn write_count(memory: GuestMemory<'_>, result: u32, count: usize) -> Result<(), Error> {
    // Fits: buffers are cut at `MAX_TRANSFER`.
    memory.write_u32(result, count as u32)?;
    Ok(())
}
