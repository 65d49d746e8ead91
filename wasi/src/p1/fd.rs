//! `fd_*`: what can be done with an open descriptor.
//!
//! Each function finds the descriptor, then asks what it is (`badf`, `spipe` or `notdir` when the wrong thing), how it
//! was opened (`badf`), what rights it holds (`notcapable`) and what its preopen permits (`perm`), in this order.

use super::call::{Args, Ctx};
use super::descriptor::{FdTable, Kind};
use super::errno::{Errno, Error};
use super::memory::GuestMemory;
use super::types::{FdFlags, FdStat, FileStat, FileType, FstFlags, Rights, new_times, size};
use crate::host::Host;
use crate::host::file::{Advice, OpenFile, SeekFrom, SyncModes};

/// `fd_advise(fd, offset, len, advice)`
pub fn fd_advise(ctx: &mut Ctx<'_>, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
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
    // Length zero means to the end, there as here.
    ctx.fds.file(fd, Rights::FD_ADVISE)?.advise(offset, len, advice)?;
    Ok(())
}

/// `fd_allocate(fd, offset, len)`
pub fn fd_allocate(ctx: &mut Ctx<'_>, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let (fd, offset, len) = (args.u32(0), args.u64(1), args.u64(2));
    writable(ctx.fds, fd, Rights::FD_ALLOCATE)?.allocate(offset, len)?;
    Ok(())
}

/// `fd_close(fd)`
pub fn fd_close(ctx: &mut Ctx<'_>, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    ctx.fds.remove(args.u32(0))?;
    Ok(())
}

/// `fd_datasync(fd)`
pub fn fd_datasync(ctx: &mut Ctx<'_>, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    ctx.fds.file(args.u32(0), Rights::FD_DATASYNC)?.sync(true)?;
    Ok(())
}

/// `fd_sync(fd)`
pub fn fd_sync(ctx: &mut Ctx<'_>, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    ctx.fds.file(args.u32(0), Rights::FD_SYNC)?.sync(false)?;
    Ok(())
}

/// `fd_fdstat_get(fd) -> fdstat`. Needs no right: it is how a guest learns its rights.
pub fn fd_fdstat_get(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let descriptor = ctx.fds.get(args.u32(0))?;
    let (filetype, flags) = match &descriptor.kind {
        Kind::Stdin => (ctx.host.stdin.filetype().into(), FdFlags::NONE),
        Kind::Stdout => (ctx.host.stdout.filetype().into(), FdFlags::NONE),
        Kind::Stderr => (ctx.host.stderr.filetype().into(), FdFlags::NONE),
        Kind::File(file) => (file.filetype.into(), flags_of(file)),
        Kind::Dir(_) => (FileType::Directory, FdFlags::NONE),
    };
    let stat = FdStat { filetype, flags, rights: descriptor.rights, inheriting: descriptor.inheriting };
    memory.write(args.u32(1), &stat.to_bytes())?;
    Ok(())
}

/// `fd_fdstat_set_flags(fd, flags)`. Synchronized modes are chosen when opening; changing them is `inval`.
pub fn fd_fdstat_set_flags(ctx: &mut Ctx<'_>, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let flags = FdFlags::from_bits(args.u32(1).into()).ok_or(Errno::Inval)?;
    let file = ctx.fds.file_mut(args.u32(0), Rights::FD_FDSTAT_SET_FLAGS)?;
    // Naming the modes that the file has anyway is no change.
    let changeable = FdFlags::APPEND.with(FdFlags::NONBLOCK);
    if !flags_of(file).contains(flags.without(changeable)) {
        return Err(Errno::Inval.into());
    }
    file.append = flags.contains(FdFlags::APPEND);
    file.nonblock = flags.contains(FdFlags::NONBLOCK);
    Ok(())
}

/// `fd_fdstat_set_rights(fd, base, inheriting)`: gives rights up. Asking for one that isn't held is `notcapable`.
pub fn fd_fdstat_set_rights(ctx: &mut Ctx<'_>, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let descriptor = ctx.fds.get_mut(args.u32(0))?;
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
pub fn fd_filestat_get(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let descriptor = ctx.fds.get(args.u32(0))?;
    descriptor.require(Rights::FD_FILESTAT_GET)?;
    let stat = match &descriptor.kind {
        Kind::Stdin => FileStat::of_stream(ctx.host.stdin.filetype()),
        Kind::Stdout => FileStat::of_stream(ctx.host.stdout.filetype()),
        Kind::Stderr => FileStat::of_stream(ctx.host.stderr.filetype()),
        Kind::File(file) => file.stat()?.into(),
        Kind::Dir(dir) => dir.stat()?.into(),
    };
    memory.write(args.u32(1), &stat.to_bytes())?;
    Ok(())
}

/// `fd_filestat_set_size(fd, size)`
pub fn fd_filestat_set_size(ctx: &mut Ctx<'_>, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    ctx.fds.file(args.u32(0), Rights::FD_FILESTAT_SET_SIZE)?.set_size(args.u64(1))?;
    Ok(())
}

/// `fd_filestat_set_times(fd, atim, mtim, fst_flags)`
pub fn fd_filestat_set_times(ctx: &mut Ctx<'_>, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let flags = FstFlags::from_bits(args.u32(3).into()).ok_or(Errno::Inval)?;
    let times = new_times(args.u64(1), args.u64(2), flags)?;
    let descriptor = ctx.fds.get(args.u32(0))?;
    match &descriptor.kind {
        Kind::File(_) | Kind::Dir(_) => descriptor.require(Rights::FD_FILESTAT_SET_TIMES)?,
        Kind::Stdin | Kind::Stdout | Kind::Stderr => return Err(Errno::Badf.into()),
    }
    match &descriptor.kind {
        Kind::File(file) => file.set_times(times)?,
        Kind::Dir(dir) => dir.set_times(times)?,
        _ => unreachable!("sorted out above"),
    }
    Ok(())
}

/// `fd_pread(fd, iovs, iovs_len, offset) -> size`
pub fn fd_pread(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let (fd, iovs, iovs_len, offset, result) = (args.u32(0), args.u32(1), args.u32(2), args.u64(3), args.u32(4));
    let descriptor = ctx.fds.get(fd)?;
    let Kind::File(file) = &descriptor.kind else { return Err(not_a_file(&descriptor.kind, Rights::FD_READ).into()) };
    if !file.readable {
        return Err(Errno::Badf.into());
    }
    descriptor.require(Rights::FD_READ.with(Rights::FD_SEEK))?;
    let mut buffers = memory.iovecs(iovs, iovs_len)?;
    memory.check(result, 4)?;
    let count = file.read_at(&mut buffers, offset, &mut ctx.host.waiter)?;
    write_count(memory, result, count)
}

/// `fd_pwrite(fd, iovs, iovs_len, offset) -> size`
pub fn fd_pwrite(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let (fd, iovs, iovs_len, offset, result) = (args.u32(0), args.u32(1), args.u32(2), args.u64(3), args.u32(4));
    let descriptor = ctx.fds.get(fd)?;
    let Kind::File(file) = &descriptor.kind else { return Err(not_a_file(&descriptor.kind, Rights::FD_WRITE).into()) };
    if !file.writable {
        return Err(Errno::Badf.into());
    }
    descriptor.require(Rights::FD_WRITE.with(Rights::FD_SEEK))?;
    let mut buffers = memory.iovecs(iovs, iovs_len)?;
    memory.check(result, 4)?;
    let count = file.write_at(&mut buffers, offset, &mut ctx.host.waiter)?;
    write_count(memory, result, count)
}

/// `fd_prestat_get(fd) -> prestat`
pub fn fd_prestat_get(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let Kind::Dir(dir) = &ctx.fds.get(args.u32(0))?.kind else { return Err(Errno::Badf.into()) };
    let name = dir.preopen_name().ok_or(Errno::Badf)?;
    let mut prestat = [0; size::PRESTAT];
    let len = u32::try_from(name.len()).map_err(|_| Errno::Overflow)?;
    prestat[4..].copy_from_slice(&len.to_le_bytes());
    memory.write(args.u32(1), &prestat)?;
    Ok(())
}

/// `fd_prestat_dir_name(fd, path, path_len)`
pub fn fd_prestat_dir_name(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let Kind::Dir(dir) = &ctx.fds.get(args.u32(0))?.kind else { return Err(Errno::Notdir.into()) };
    let name = dir.preopen_name().ok_or(Errno::Notdir)?;
    if name.len() > args.u32(2) as usize {
        return Err(Errno::Nametoolong.into());
    }
    memory.write(args.u32(1), name.as_bytes())?;
    Ok(())
}

/// `fd_read(fd, iovs, iovs_len) -> size`
pub fn fd_read(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let (fd, iovs, iovs_len, result) = (args.u32(0), args.u32(1), args.u32(2), args.u32(3));
    let descriptor = ctx.fds.get_mut(fd)?;
    match &descriptor.kind {
        Kind::Stdin => (),
        Kind::File(file) if file.readable => (),
        _ => return Err(Errno::Badf.into()),
    }
    descriptor.require(Rights::FD_READ)?;
    let mut buffers = memory.iovecs(iovs, iovs_len)?;
    memory.check(result, 4)?;
    let Host { stdin, waiter, .. } = &mut *ctx.host;
    let count = match &mut descriptor.kind {
        Kind::File(file) => file.read(&mut buffers, waiter)?,
        _ => stdin.read(&mut buffers, waiter)?,
    };
    write_count(memory, result, count)
}

/// `fd_readdir(fd, buf, buf_len, cookie) -> size`
pub fn fd_readdir(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let (fd, buffer, buffer_len, cookie, result) = (args.u32(0), args.u32(1), args.u32(2), args.u64(3), args.u32(4));
    let descriptor = ctx.fds.get_mut(fd)?;
    let held = descriptor.require(Rights::FD_READDIR);
    let Kind::Dir(dir) = &mut descriptor.kind else { return Err(Errno::Badf.into()) };
    held?;
    memory.check(buffer, buffer_len as usize)?;
    memory.check(result, 4)?;
    let mut used = 0;
    dir.read_entries(cookie, &mut ctx.host.waiter, |entry| -> Result<bool, Error> {
        let mut header = [0; size::DIRENT];
        header[0..8].copy_from_slice(&entry.next.to_le_bytes());
        header[8..16].copy_from_slice(&entry.inode.to_le_bytes());
        let name_len = u32::try_from(entry.name.len()).map_err(|_| Errno::Nametoolong)?;
        header[16..20].copy_from_slice(&name_len.to_le_bytes());
        header[20] = FileType::from(entry.filetype) as u8;
        // The last entry is cut where the buffer ends: a full buffer means that there is more.
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
pub fn fd_renumber(ctx: &mut Ctx<'_>, _: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    ctx.fds.renumber(args.u32(0), args.u32(1))?;
    Ok(())
}

/// `fd_seek(fd, offset, whence) -> filesize`
pub fn fd_seek(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let (fd, offset, whence, result) = (args.u32(0), args.u64(1).cast_signed(), args.u32(2), args.u32(3));
    let to = match whence {
        0 => SeekFrom::Start(offset.cast_unsigned()),
        1 => SeekFrom::Current(offset),
        2 => SeekFrom::End(offset),
        _ => return Err(Errno::Inval.into()),
    };
    let needed = if whence == 1 && offset == 0 { Rights::FD_TELL } else { Rights::FD_SEEK };
    seek(ctx, memory, fd, to, needed, result)
}

/// `fd_tell(fd) -> filesize`
pub fn fd_tell(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    seek(ctx, memory, args.u32(0), SeekFrom::Current(0), Rights::FD_TELL, args.u32(1))
}

fn seek(
    ctx: &mut Ctx<'_>,
    memory: GuestMemory<'_>,
    fd: u32,
    to: SeekFrom,
    needed: Rights,
    result: u32,
) -> Result<(), Error> {
    let descriptor = ctx.fds.get_mut(fd)?;
    let held = descriptor.require(needed);
    let file = match &mut descriptor.kind {
        Kind::File(file) => file,
        Kind::Dir(_) => return Err(Errno::Badf.into()),
        Kind::Stdin | Kind::Stdout | Kind::Stderr => return Err(Errno::Spipe.into()),
    };
    held?;
    memory.check(result, 8)?;
    memory.write_u64(result, file.seek(to)?)?;
    Ok(())
}

/// `fd_write(fd, iovs, iovs_len) -> size`
pub fn fd_write(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let (fd, iovs, iovs_len, result) = (args.u32(0), args.u32(1), args.u32(2), args.u32(3));
    let descriptor = ctx.fds.get_mut(fd)?;
    match &descriptor.kind {
        Kind::Stdout | Kind::Stderr => (),
        Kind::File(file) if file.writable => (),
        _ => return Err(Errno::Badf.into()),
    }
    descriptor.require(Rights::FD_WRITE)?;
    let mut buffers = memory.iovecs(iovs, iovs_len)?;
    memory.check(result, 4)?;
    let Host { stdout, stderr, waiter, .. } = &mut *ctx.host;
    let count = match &mut descriptor.kind {
        Kind::File(file) => file.write(&mut buffers, waiter)?,
        Kind::Stderr => stderr.write(&mut buffers, waiter)?,
        _ => stdout.write(&mut buffers, waiter)?,
    };
    write_count(memory, result, count)
}

/// The file numbered `fd`, opened for writing.
fn writable(fds: &FdTable, fd: u32, needed: Rights) -> Result<&OpenFile, Error> {
    let file = fds.file(fd, Rights::NONE)?;
    if !file.writable {
        return Err(Errno::Badf.into());
    }
    fds.file(fd, needed)
}

/// A file's modes as the guest knows them.
fn flags_of(file: &OpenFile) -> FdFlags {
    let SyncModes { data, file: all, reads } = file.sync;
    FdFlags::APPEND
        .when(file.append)
        .with(FdFlags::NONBLOCK.when(file.nonblock))
        .with(FdFlags::DSYNC.when(data))
        .with(FdFlags::SYNC.when(all))
        .with(FdFlags::RSYNC.when(reads))
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

/// Writes how many bytes were transferred; `result` was checked.
fn write_count(memory: GuestMemory<'_>, result: u32, count: usize) -> Result<(), Error> {
    // Fits: buffers are cut at `MAX_TRANSFER`.
    memory.write_u32(result, count as u32)?;
    Ok(())
}
