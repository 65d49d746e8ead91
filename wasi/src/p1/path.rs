//! `path_*`: what can be done by name, beneath an open directory.
//!
//! Each function reads its paths (`ilseq`, `inval`), finds the directory (`badf`), asks for its rights (`notcapable`)
//! and for its preopen's permissions (`perm`), and only then touches the host. With two directories, both are asked.

use super::abi::Args;
use super::fd::permit;
use super::memory::GuestMemory;
use super::types::{Errno, Error, FdFlags, FileType, FstFlags, LookupFlags, OFlags, Rights};
use crate::ctx::WasiCtx;
use crate::files::{
    DirPerms, DirPosition, FilePerms, OpenDir, OpenFile, OpenHow, filestat, filestat_beneath, open_beneath,
    set_times_beneath, timestamps,
};
use crate::table::{Descriptor, FdTable, Kind};
use cap_primitives::fs as sandboxed;
use rustix::fd::AsFd;
use std::path::Path;

/// `path_create_directory(fd, path)`
pub fn path_create_directory(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let dir = changeable(&ctx.table, args.u32(0), Rights::PATH_CREATE_DIRECTORY)?;
    let path = memory.path(args.u32(1), args.u32(2))?;
    sandboxed::create_dir(&dir.file, path.as_ref(), &sandboxed::DirOptions::new())?;
    Ok(())
}

/// `path_filestat_get(fd, flags, path, path_len) -> filestat`
pub fn path_filestat_get(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let follow = follows(args.u32(1))?;
    let dir = readable(&ctx.table, args.u32(0), Rights::PATH_FILESTAT_GET)?;
    let path = memory.path(args.u32(2), args.u32(3))?;
    let stat = filestat_beneath(&dir.file, &path, follow)?;
    memory.write(args.u32(4), &stat.to_bytes())?;
    Ok(())
}

/// `path_filestat_set_times(fd, flags, path, path_len, atim, mtim, fst_flags)`
pub fn path_filestat_set_times(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let follow = follows(args.u32(1))?;
    let path = memory.path(args.u32(2), args.u32(3))?;
    let flags = FstFlags::from_bits(args.u32(6).into()).ok_or(Errno::Inval)?;
    let times = timestamps(args.u64(4), args.u64(5), flags)?;
    let dir = changeable(&ctx.table, args.u32(0), Rights::PATH_FILESTAT_SET_TIMES)?;
    set_times_beneath(&dir.file, &path, follow, &times)?;
    Ok(())
}

/// `path_link(old_fd, old_flags, old_path, old_path_len, new_fd, new_path, new_path_len)`. A link that would be
/// followed is refused.
pub fn path_link(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let follow = follows(args.u32(1))?;
    let old_path = memory.path(args.u32(2), args.u32(3))?;
    let new_path = memory.path(args.u32(5), args.u32(6))?;
    let old_dir = changeable(&ctx.table, args.u32(0), Rights::PATH_LINK_SOURCE)?;
    let new_dir = changeable(&ctx.table, args.u32(4), Rights::PATH_LINK_TARGET)?;
    permit(gains_nothing(old_dir, new_dir))?;
    if follow {
        return Err(Errno::Inval.into());
    }
    sandboxed::hard_link(&old_dir.file, old_path.as_ref(), &new_dir.file, new_path.as_ref())?;
    Ok(())
}

/// `path_open(fd, dirflags, path, path_len, oflags, rights, inheriting, fdflags) -> fd`
pub fn path_open(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let (fd, result) = (args.u32(0), args.u32(8));
    let follow = follows(args.u32(1))?;
    let path = memory.path(args.u32(2), args.u32(3))?;
    let oflags = OFlags::from_bits(args.u32(4).into()).ok_or(Errno::Inval)?;
    let flags = FdFlags::from_bits(args.u32(7).into()).ok_or(Errno::Inval)?;
    let descriptor = ctx.table.get(fd)?;
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
    let write = asked.contains(Rights::FD_WRITE);
    // Asking for neither means reading, to programs written against Wasmtime.
    let read = asked.contains(Rights::FD_READ) || !write;
    permit(permits_open(dir, oflags, read, write))?;
    if oflags.contains(OFlags::DIRECTORY) && oflags != OFlags::DIRECTORY {
        return Err(Errno::Inval.into());
    }
    memory.check(result, 4)?;
    ctx.table.check_room()?;
    let how = OpenHow {
        follow,
        read,
        write,
        create: oflags.contains(OFlags::CREAT),
        exclusive: oflags.contains(OFlags::EXCL),
        truncate: oflags.contains(OFlags::TRUNC),
        directory: oflags.contains(OFlags::DIRECTORY),
        path_only: false,
        sync: flags,
    };
    let file = open_beneath(&dir.file, &path, how)?;
    let filetype = filestat(file.as_fd())?.filetype;
    let (dir_perms, file_perms, inherited) = (dir.dir_perms, dir.file_perms, descriptor.inheriting);
    let opened = if filetype == FileType::Directory {
        let position = DirPosition::default();
        Descriptor {
            kind: Kind::Dir(OpenDir { file, dir_perms, file_perms, preopen: None, position }),
            rights: inherited.and(Rights::OF_DIRECTORIES),
            inheriting: inherited,
        }
    } else {
        // Only now is it known that this isn't a directory, which needs no permission to read files.
        permit(!read || file_perms.contains(FilePerms::READ))?;
        let unasked = Rights::FD_READ.when(!read).with(Rights::FD_WRITE.when(!write));
        Descriptor {
            kind: Kind::File(OpenFile { file, filetype, readable: read, writable: write, flags, perms: file_perms }),
            rights: inherited.and(Rights::OF_FILES).without(unasked),
            inheriting: Rights::NONE,
        }
    };
    let fd = ctx.table.insert(opened)?;
    memory.write_u32(result, fd)?;
    Ok(())
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

/// Whether `dir`'s permissions allow opening so. Creating and emptying a file are writing to it, whatever access is
/// asked for; and writing takes both permissions to write.
fn permits_open(dir: &OpenDir, oflags: OFlags, read: bool, write: bool) -> bool {
    let changes = write || oflags.contains(OFlags::CREAT) || oflags.contains(OFlags::TRUNC);
    let may_change = dir.dir_perms.contains(DirPerms::WRITE) && dir.file_perms.contains(FilePerms::WRITE);
    let may_read = dir.file_perms.contains(FilePerms::READ);
    // What only reads may be a directory, and is asked about when that is known.
    dir.dir_perms.contains(DirPerms::READ) && (!changes || may_change) && (!(changes && read) || may_read)
}

/// `path_readlink(fd, path, path_len, buf, buf_len) -> size`
pub fn path_readlink(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let dir = readable(&ctx.table, args.u32(0), Rights::PATH_READLINK)?;
    let path = memory.path(args.u32(1), args.u32(2))?;
    let (buffer, buffer_len, result) = (args.u32(3), args.u32(4), args.u32(5));
    memory.check(buffer, buffer_len as usize)?;
    memory.check(result, 4)?;
    let target = sandboxed::read_link(&dir.file, path.as_ref())?;
    let target = target.to_str().ok_or(Errno::Ilseq)?.as_bytes();
    let len = target.len().min(buffer_len as usize);
    memory.write(buffer, &target[..len])?;
    // Fits: at most `buffer_len`.
    memory.write_u32(result, len as u32)?;
    Ok(())
}

/// `path_remove_directory(fd, path, path_len)`
pub fn path_remove_directory(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let dir = changeable(&ctx.table, args.u32(0), Rights::PATH_REMOVE_DIRECTORY)?;
    let path = memory.path(args.u32(1), args.u32(2))?;
    // A slash at the end says that a directory is meant, which goes without saying; a link still isn't one.
    let name = if path.starts_with('/') { &path } else { path.trim_end_matches('/') };
    sandboxed::remove_dir(&dir.file, Path::new(name))?;
    Ok(())
}

/// `path_rename(fd, old_path, old_path_len, new_fd, new_path, new_path_len)`
pub fn path_rename(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let old_path = memory.path(args.u32(1), args.u32(2))?;
    let new_path = memory.path(args.u32(4), args.u32(5))?;
    let old_dir = changeable(&ctx.table, args.u32(0), Rights::PATH_RENAME_SOURCE)?;
    let new_dir = changeable(&ctx.table, args.u32(3), Rights::PATH_RENAME_TARGET)?;
    permit(gains_nothing(old_dir, new_dir))?;
    sandboxed::rename(&old_dir.file, old_path.as_ref(), &new_dir.file, new_path.as_ref())?;
    Ok(())
}

/// `path_symlink(old_path, old_path_len, fd, new_path, new_path_len)`. An absolute target is refused: it means nothing
/// to the guest, and might to another program.
pub fn path_symlink(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let target = memory.path(args.u32(0), args.u32(1))?;
    let dir = changeable(&ctx.table, args.u32(2), Rights::PATH_SYMLINK)?;
    let path = memory.path(args.u32(3), args.u32(4))?;
    sandboxed::symlink(target.as_ref(), &dir.file, path.as_ref())?;
    Ok(())
}

/// `path_unlink_file(fd, path, path_len)`
pub fn path_unlink_file(ctx: &mut WasiCtx, memory: GuestMemory<'_>, args: Args<'_>) -> Result<(), Error> {
    let dir = changeable(&ctx.table, args.u32(0), Rights::PATH_UNLINK_FILE)?;
    let path = memory.path(args.u32(1), args.u32(2))?;
    sandboxed::remove_file(&dir.file, path.as_ref())?;
    Ok(())
}

fn follows(flags: u32) -> Result<bool, Errno> {
    let flags = LookupFlags::from_bits(flags.into()).ok_or(Errno::Inval)?;
    Ok(flags.contains(LookupFlags::SYMLINK_FOLLOW))
}

/// The directory numbered `fd`, holding `needed`, whose preopen may be read.
fn readable(table: &FdTable, fd: u32, needed: Rights) -> Result<&OpenDir, Errno> {
    let dir = table.dir(fd, needed)?;
    permit(dir.dir_perms.contains(DirPerms::READ))?;
    Ok(dir)
}

/// The directory numbered `fd`, holding `needed`, whose preopen may be changed.
fn changeable(table: &FdTable, fd: u32, needed: Rights) -> Result<&OpenDir, Errno> {
    let dir = table.dir(fd, needed)?;
    permit(dir.dir_perms.contains(DirPerms::WRITE))?;
    Ok(dir)
}

/// Whether something of `old`'s, under a name of `new`'s, could be used for no more than before. Else linking or moving
/// it from one preopen to another would lift the first one's permissions.
fn gains_nothing(old: &OpenDir, new: &OpenDir) -> bool {
    old.dir_perms.contains(new.dir_perms) && old.file_perms.contains(new.file_perms)
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

    #[test]
    fn opening_is_permitted_by_both_permissions() {
        let open = |dir, file, oflags: OFlags, read, write| {
            let dir_perms = DirPerms::from_bits(dir).expect("bits");
            let file_perms = FilePerms::from_bits(file).expect("bits");
            let dir = OpenDir::preopen(Path::new("/"), String::new(), dir_perms, file_perms).expect("opened");
            permits_open(&dir, oflags, read, write)
        };
        let none = OFlags::NONE;
        assert!(open(1, 1, none, true, false));
        assert!(open(1, 0, none, true, false), "a directory may be opened");
        assert!(open(3, 3, OFlags::ALL, true, true));
        assert!(open(3, 2, none, false, true));
        for (dir, file) in [(1, 1), (1, 3), (3, 1), (2, 3), (0, 3), (3, 0)] {
            assert!(!open(dir, file, none, true, true), "{dir} {file}");
            assert!(!open(dir, file, OFlags::CREAT, true, false), "{dir} {file}");
            assert!(!open(dir, file, OFlags::TRUNC, true, false), "{dir} {file}");
        }
        assert!(!open(3, 2, none, true, true));
    }
}
