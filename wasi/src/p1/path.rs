//! `path_*`: what can be done by name, beneath an open directory.
//!
//! Each function reads its paths and flags (`ilseq`, `inval`), finds the directory (`badf`), checks its rights
//! (`notcapable`), and leaves the rest to the host, which checks the preopen's permissions (`perm`). With two directories,
//! both are checked. Functions of one path find the directory first.

use super::call::{Args, Ctx};
use super::descriptor::{Descriptor, Kind};
use super::errno::{Errno, Error};
use super::memory::GuestMemory;
use super::types::{FdFlags, FileStat, FstFlags, LookupFlags, OFlags, Rights, new_times};
use crate::host::dir::{OpenHow, Opened};
use crate::host::file::SyncModes;

/// `path_create_directory(fd, path)`
pub fn path_create_directory(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let dir = ctx.fds.dir(args.u32(0), Rights::PATH_CREATE_DIRECTORY)?;
    dir.create_dir(&memory.path(args.u32(1), args.u32(2))?)?;
    Ok(())
}

/// `path_filestat_get(fd, flags, path, path_len) -> filestat`
pub fn path_filestat_get(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let follow = follows(args.u32(1))?;
    let dir = ctx.fds.dir(args.u32(0), Rights::PATH_FILESTAT_GET)?;
    let path = memory.path(args.u32(2), args.u32(3))?;
    let stat = FileStat::from(dir.stat_at(&path, follow)?);
    memory.write(args.u32(4), &stat.to_bytes())?;
    Ok(())
}

/// `path_filestat_set_times(fd, flags, path, path_len, atim, mtim, fst_flags)`
pub fn path_filestat_set_times(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let follow = follows(args.u32(1))?;
    let path = memory.path(args.u32(2), args.u32(3))?;
    let flags = FstFlags::from_bits(args.u32(6).into()).ok_or(Errno::Inval)?;
    let times = new_times(args.u64(4), args.u64(5), flags)?;
    ctx.fds.dir(args.u32(0), Rights::PATH_FILESTAT_SET_TIMES)?.set_times_at(&path, follow, times)?;
    Ok(())
}

/// `path_link(old_fd, old_flags, old_path, old_path_len, new_fd, new_path, new_path_len)`. A link that would be
/// followed is refused.
pub fn path_link(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let follow = follows(args.u32(1))?;
    let old_path = memory.path(args.u32(2), args.u32(3))?;
    let new_path = memory.path(args.u32(5), args.u32(6))?;
    let old_dir = ctx.fds.dir(args.u32(0), Rights::PATH_LINK_SOURCE)?;
    let new_dir = ctx.fds.dir(args.u32(4), Rights::PATH_LINK_TARGET)?;
    old_dir.link(&old_path, follow, new_dir, &new_path)?;
    Ok(())
}

/// `path_open(fd, dirflags, path, path_len, oflags, rights, inheriting, fdflags) -> fd`
pub fn path_open(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let (fd, result) = (args.u32(0), args.u32(8));
    let follow = follows(args.u32(1))?;
    let path = memory.path(args.u32(2), args.u32(3))?;
    let oflags = OFlags::from_bits(args.u32(4).into()).ok_or(Errno::Inval)?;
    let flags = FdFlags::from_bits(args.u32(7).into()).ok_or(Errno::Inval)?;
    let descriptor = ctx.fds.get(fd)?;
    let dir = match &descriptor.kind {
        Kind::Dir(dir) => dir,
        Kind::File(_) => return Err(Errno::Notdir.into()),
        Kind::Stdin | Kind::Stdout | Kind::Stderr => return Err(Errno::Badf.into()),
    };
    descriptor.require(rights_to_open(oflags))?;
    // A bit that no right has can't be inherited either.
    let asked = Rights::from_bits(args.u64(5)).ok_or(Errno::Notcapable)?;
    let asked_inheriting = Rights::from_bits(args.u64(6)).ok_or(Errno::Notcapable)?;
    if !descriptor.inheriting.contains(asked.with(asked_inheriting).with(rights_to_synchronize(flags))) {
        return Err(Errno::Notcapable.into());
    }
    memory.check(result, 4)?;
    ctx.fds.check_budget()?;
    let opened = dir.open(&path, &open_how(follow, oflags, flags, asked))?;
    let fd = ctx.fds.insert(inherit(opened, descriptor.inheriting))?;
    memory.write_u32(result, fd)?;
    Ok(())
}

fn open_how(follow: bool, oflags: OFlags, flags: FdFlags, asked: Rights) -> OpenHow {
    let write = asked.contains(Rights::FD_WRITE);
    OpenHow {
        follow,
        // Asking for neither means reading, to programs written against Wasmtime.
        read: asked.contains(Rights::FD_READ) || !write,
        write,
        create: oflags.contains(OFlags::CREAT),
        exclusive: oflags.contains(OFlags::EXCL),
        truncate: oflags.contains(OFlags::TRUNC),
        directory: oflags.contains(OFlags::DIRECTORY),
        append: flags.contains(FdFlags::APPEND),
        nonblock: flags.contains(FdFlags::NONBLOCK),
        sync: SyncModes {
            data: flags.contains(FdFlags::DSYNC),
            file: flags.contains(FdFlags::SYNC),
            reads: flags.contains(FdFlags::RSYNC),
        },
    }
}

/// A descriptor of what was opened, with those of the `inherited` rights that mean something for it.
fn inherit(opened: Opened, inherited: Rights) -> Descriptor {
    match opened {
        Opened::Dir(dir) => {
            Descriptor { kind: Kind::Dir(dir), rights: inherited.and(Rights::OF_DIRECTORIES), inheriting: inherited }
        }
        Opened::File(file) => {
            let unasked = Rights::FD_READ.when(!file.readable).with(Rights::FD_WRITE.when(!file.writable));
            Descriptor {
                kind: Kind::File(file),
                rights: inherited.and(Rights::OF_FILES).without(unasked),
                inheriting: Rights::NONE,
            }
        }
    }
}

/// The rights of a directory that opening with `oflags` takes.
fn rights_to_open(oflags: OFlags) -> Rights {
    Rights::PATH_OPEN
        .with(Rights::PATH_CREATE_FILE.when(oflags.contains(OFlags::CREAT)))
        .with(Rights::PATH_FILESTAT_SET_SIZE.when(oflags.contains(OFlags::TRUNC)))
}

/// The rights to inherit that opening with `flags` takes: a synchronized mode is a call to synchronize at every write.
fn rights_to_synchronize(flags: FdFlags) -> Rights {
    Rights::FD_DATASYNC
        .when(flags.contains(FdFlags::DSYNC))
        .with(Rights::FD_SYNC.when(flags.contains(FdFlags::SYNC) || flags.contains(FdFlags::RSYNC)))
}

/// `path_readlink(fd, path, path_len, buf, buf_len) -> size`
pub fn path_readlink(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let dir = ctx.fds.dir(args.u32(0), Rights::PATH_READLINK)?;
    let path = memory.path(args.u32(1), args.u32(2))?;
    let (buffer, buffer_len, result) = (args.u32(3), args.u32(4), args.u32(5));
    memory.check(buffer, buffer_len as usize)?;
    memory.check(result, 4)?;
    let target = dir.read_link(&path)?;
    let len = target.len().min(buffer_len as usize);
    memory.write(buffer, &target.as_bytes()[..len])?;
    // Fits: at most `buffer_len`.
    memory.write_u32(result, len as u32)?;
    Ok(())
}

/// `path_remove_directory(fd, path, path_len)`
pub fn path_remove_directory(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let dir = ctx.fds.dir(args.u32(0), Rights::PATH_REMOVE_DIRECTORY)?;
    dir.remove_dir(&memory.path(args.u32(1), args.u32(2))?)?;
    Ok(())
}

/// `path_rename(fd, old_path, old_path_len, new_fd, new_path, new_path_len)`
pub fn path_rename(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let old_path = memory.path(args.u32(1), args.u32(2))?;
    let new_path = memory.path(args.u32(4), args.u32(5))?;
    let old_dir = ctx.fds.dir(args.u32(0), Rights::PATH_RENAME_SOURCE)?;
    let new_dir = ctx.fds.dir(args.u32(3), Rights::PATH_RENAME_TARGET)?;
    old_dir.rename(&old_path, new_dir, &new_path)?;
    Ok(())
}

/// `path_symlink(old_path, old_path_len, fd, new_path, new_path_len)`. An absolute target is refused: it means nothing
/// to the guest, and might to another program.
pub fn path_symlink(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let target = memory.path(args.u32(0), args.u32(1))?;
    let path = memory.path(args.u32(3), args.u32(4))?;
    ctx.fds.dir(args.u32(2), Rights::PATH_SYMLINK)?.symlink(&target, &path)?;
    Ok(())
}

/// `path_unlink_file(fd, path, path_len)`
pub fn path_unlink_file(ctx: &mut Ctx<'_>, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let dir = ctx.fds.dir(args.u32(0), Rights::PATH_UNLINK_FILE)?;
    dir.remove_file(&memory.path(args.u32(1), args.u32(2))?)?;
    Ok(())
}

fn follows(flags: u32) -> Result<bool, Errno> {
    let flags = LookupFlags::from_bits(flags.into()).ok_or(Errno::Inval)?;
    Ok(flags.contains(LookupFlags::SYMLINK_FOLLOW))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_open_has_its_rights() {
        assert_eq!(rights_to_open(OFlags::NONE), Rights::PATH_OPEN);
        assert_eq!(rights_to_open(OFlags::EXCL), Rights::PATH_OPEN);
        assert_eq!(rights_to_open(OFlags::CREAT), Rights::PATH_OPEN.with(Rights::PATH_CREATE_FILE));
        assert_eq!(rights_to_open(OFlags::TRUNC), Rights::PATH_OPEN.with(Rights::PATH_FILESTAT_SET_SIZE));
        assert_eq!(rights_to_synchronize(FdFlags::APPEND.with(FdFlags::NONBLOCK)), Rights::NONE);
        assert_eq!(rights_to_synchronize(FdFlags::DSYNC), Rights::FD_DATASYNC);
        assert_eq!(rights_to_synchronize(FdFlags::RSYNC), Rights::FD_SYNC);
        assert_eq!(rights_to_synchronize(FdFlags::SYNC), Rights::FD_SYNC);
    }
}
