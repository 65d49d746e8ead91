//! A guest for tests: a context, a memory, and the functions of preview 1 called by name as an engine would.

#![allow(dead_code)] // Each test file uses its part.

use ampoule_wasi::p1::{Args, Ctx, Errno, Error, FUNCTIONS, GuestMemory};
use ampoule_wasi::{DirPerms, FilePerms, WasiConfig, WasiCtx};
use std::path::Path;
use tempfile::TempDir;

/// Where helpers put things in the guest's memory, away from what tests put there by hand.
const RESULT: u32 = 0;
const IOVECS: u32 = 64;
const PATH: u32 = 1024;
const PATH_2: u32 = 8192;
pub const BUFFER: u32 = 16384;

pub const READ: u64 = 1 << 1;
pub const WRITE: u64 = 1 << 6;
pub const CREAT: u32 = 1;
pub const DIRECTORY: u32 = 2;
pub const EXCL: u32 = 4;
pub const TRUNC: u32 = 8;
pub const APPEND: u32 = 1;

/// The first preopen.
pub const ROOT: u32 = 3;

pub struct Guest {
    pub ctx: WasiCtx,
    pub memory: Vec<u8>,
}

pub type Answer<T> = Result<T, Errno>;

impl Guest {
    pub fn new(config: WasiConfig) -> Self {
        Self { ctx: config.build(), memory: vec![0; 1 << 17] }
    }

    /// A guest with a fresh directory preopened as `/`, which may be used for everything.
    pub fn with_dir() -> (Self, TempDir) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        (Self::with_preopens(&[(dir.path(), 3, 3)]), dir)
    }

    /// A guest with these directories preopened, with the bits of their directory and file permissions.
    pub fn with_preopens(dirs: &[(&Path, u64, u64)]) -> Self {
        let mut config = WasiConfig::new();
        for (path, dir_perms, file_perms) in dirs {
            let dir_perms = DirPerms::from_bits(*dir_perms).expect("known bits");
            let file_perms = FilePerms::from_bits(*file_perms).expect("known bits");
            config.preopen_dir(path, "/", dir_perms, file_perms).expect("opened");
        }
        Self::new(config)
    }

    /// Calls `name` with these arguments, whatever comes of it.
    pub fn raw(&mut self, name: &str, args: &[u64]) -> Result<(), Error> {
        let function = FUNCTIONS.iter().find(|function| function.name == name).expect("a function of preview 1");
        assert_eq!(args.len(), function.params.len(), "{name}");
        let slots: Vec<[u64; 2]> = args.iter().map(|arg| [*arg, 0xaaaa_aaaa_aaaa_aaaa]).collect();
        // SAFETY: both live to the end of the call, and nothing else uses them meanwhile.
        let (memory, args) = unsafe {
            let memory = GuestMemory::new(self.memory.as_mut_ptr(), self.memory.len());
            (memory, Args::new(slots.as_ptr().cast(), slots.len()))
        };
        (function.call)(&mut Ctx::of(&mut self.ctx), memory, args)
    }

    /// Calls `name`, which must return.
    pub fn call(&mut self, name: &str, args: &[u64]) -> Answer<()> {
        self.raw(name, args).map_err(|error| match error {
            Error::Errno(errno) => errno,
            other => panic!("{name} ended with {other:?}"),
        })
    }

    pub fn put(&mut self, address: u32, bytes: &[u8]) {
        self.memory[address as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    pub fn get(&self, address: u32, len: usize) -> &[u8] {
        &self.memory[address as usize..][..len]
    }

    pub fn u32_at(&self, address: u32) -> u32 {
        u32::from_le_bytes(self.get(address, 4).try_into().expect("four bytes"))
    }

    pub fn u64_at(&self, address: u32) -> u64 {
        u64::from_le_bytes(self.get(address, 8).try_into().expect("eight bytes"))
    }

    fn path(&mut self, address: u32, path: impl AsRef<[u8]>) -> [u64; 2] {
        self.put(address, path.as_ref());
        [address.into(), path.as_ref().len() as u64]
    }

    /// Calls a function of a directory and a path.
    pub fn at(&mut self, name: &str, dir: u32, path: impl AsRef<[u8]>) -> Answer<()> {
        let [address, len] = self.path(PATH, path);
        self.call(name, &[dir.into(), address, len])
    }

    pub fn open_with(&mut self, dir: u32, path: impl AsRef<[u8]>, oflags: u32, rights: u64, flags: u32) -> Answer<u32> {
        self.open_as(dir, 1, path, oflags, rights, 0, flags)
    }

    #[allow(clippy::too_many_arguments)] // It is `path_open`.
    pub fn open_as(
        &mut self,
        dir: u32,
        lookup: u32,
        path: impl AsRef<[u8]>,
        oflags: u32,
        rights: u64,
        inheriting: u64,
        flags: u32,
    ) -> Answer<u32> {
        let [address, len] = self.path(PATH, path);
        let args =
            [dir.into(), lookup.into(), address, len, oflags.into(), rights, inheriting, flags.into(), RESULT.into()];
        self.call("path_open", &args)?;
        Ok(self.u32_at(RESULT))
    }

    /// Opens an existing file for reading, following links.
    pub fn open(&mut self, path: impl AsRef<[u8]>) -> Answer<u32> {
        self.open_with(ROOT, path, 0, READ, 0)
    }

    /// Opens a new or emptied file for reading and writing.
    pub fn create(&mut self, path: impl AsRef<[u8]>) -> Answer<u32> {
        self.open_with(ROOT, path, CREAT | TRUNC, READ | WRITE, 0)
    }

    pub fn close(&mut self, fd: u32) -> Answer<()> {
        self.call("fd_close", &[fd.into()])
    }

    /// Writes the records of these buffers, and returns their address and number.
    pub fn iovecs(&mut self, buffers: &[(u32, u32)]) -> [u64; 2] {
        for (index, (address, len)) in buffers.iter().enumerate() {
            let record = IOVECS + 8 * index as u32;
            self.put(record, &address.to_le_bytes());
            self.put(record + 4, &len.to_le_bytes());
        }
        [IOVECS.into(), buffers.len() as u64]
    }

    pub fn write(&mut self, fd: u32, bytes: impl AsRef<[u8]>) -> Answer<usize> {
        self.put(BUFFER, bytes.as_ref());
        let [address, count] = self.iovecs(&[(BUFFER, bytes.as_ref().len() as u32)]);
        self.call("fd_write", &[fd.into(), address, count, RESULT.into()])?;
        Ok(self.u32_at(RESULT) as usize)
    }

    pub fn read(&mut self, fd: u32, len: u32) -> Answer<Vec<u8>> {
        let [address, count] = self.iovecs(&[(BUFFER, len)]);
        self.call("fd_read", &[fd.into(), address, count, RESULT.into()])?;
        Ok(self.get(BUFFER, self.u32_at(RESULT) as usize).to_vec())
    }

    pub fn pwrite(&mut self, fd: u32, bytes: impl AsRef<[u8]>, offset: u64) -> Answer<usize> {
        self.put(BUFFER, bytes.as_ref());
        let [address, count] = self.iovecs(&[(BUFFER, bytes.as_ref().len() as u32)]);
        self.call("fd_pwrite", &[fd.into(), address, count, offset, RESULT.into()])?;
        Ok(self.u32_at(RESULT) as usize)
    }

    pub fn pread(&mut self, fd: u32, len: u32, offset: u64) -> Answer<Vec<u8>> {
        let [address, count] = self.iovecs(&[(BUFFER, len)]);
        self.call("fd_pread", &[fd.into(), address, count, offset, RESULT.into()])?;
        Ok(self.get(BUFFER, self.u32_at(RESULT) as usize).to_vec())
    }

    pub fn seek(&mut self, fd: u32, offset: i64, whence: u32) -> Answer<u64> {
        self.call("fd_seek", &[fd.into(), offset.cast_unsigned(), whence.into(), RESULT.into()])?;
        Ok(self.u64_at(RESULT))
    }

    pub fn tell(&mut self, fd: u32) -> Answer<u64> {
        self.call("fd_tell", &[fd.into(), RESULT.into()])?;
        Ok(self.u64_at(RESULT))
    }

    /// File type, flags, rights and inheriting rights.
    pub fn fdstat(&mut self, fd: u32) -> Answer<(u8, u16, u64, u64)> {
        self.call("fd_fdstat_get", &[fd.into(), BUFFER.into()])?;
        let flags = u16::from_le_bytes([self.get(BUFFER + 2, 1)[0], self.get(BUFFER + 3, 1)[0]]);
        Ok((self.get(BUFFER, 1)[0], flags, self.u64_at(BUFFER + 8), self.u64_at(BUFFER + 16)))
    }

    /// File type and size.
    pub fn filestat(&mut self, fd: u32) -> Answer<(u8, u64)> {
        self.call("fd_filestat_get", &[fd.into(), BUFFER.into()])?;
        Ok((self.get(BUFFER + 16, 1)[0], self.u64_at(BUFFER + 32)))
    }

    /// File type and size of what a path names.
    pub fn stat(&mut self, dir: u32, path: impl AsRef<[u8]>, lookup: u32) -> Answer<(u8, u64)> {
        let [address, len] = self.path(PATH, path);
        self.call("path_filestat_get", &[dir.into(), lookup.into(), address, len, BUFFER.into()])?;
        Ok((self.get(BUFFER + 16, 1)[0], self.u64_at(BUFFER + 32)))
    }

    pub fn set_rights(&mut self, fd: u32, rights: u64, inheriting: u64) -> Answer<()> {
        self.call("fd_fdstat_set_rights", &[fd.into(), rights, inheriting])
    }

    pub fn rename(&mut self, old_dir: u32, old: &str, new_dir: u32, new: &str) -> Answer<()> {
        let [old, old_len] = self.path(PATH, old);
        let [new, new_len] = self.path(PATH_2, new);
        self.call("path_rename", &[old_dir.into(), old, old_len, new_dir.into(), new, new_len])
    }

    pub fn link(&mut self, old_dir: u32, lookup: u32, old: &str, new_dir: u32, new: &str) -> Answer<()> {
        let [old, old_len] = self.path(PATH, old);
        let [new, new_len] = self.path(PATH_2, new);
        self.call("path_link", &[old_dir.into(), lookup.into(), old, old_len, new_dir.into(), new, new_len])
    }

    pub fn symlink(&mut self, target: &str, dir: u32, path: &str) -> Answer<()> {
        let [target, target_len] = self.path(PATH, target);
        let [path, path_len] = self.path(PATH_2, path);
        self.call("path_symlink", &[target, target_len, dir.into(), path, path_len])
    }

    pub fn readlink(&mut self, dir: u32, path: &str, buffer_len: u32) -> Answer<String> {
        let [path, len] = self.path(PATH, path);
        self.call("path_readlink", &[dir.into(), path, len, BUFFER.into(), buffer_len.into(), RESULT.into()])?;
        let target = self.get(BUFFER, self.u32_at(RESULT) as usize).to_vec();
        Ok(String::from_utf8(target).expect("text"))
    }

    pub fn set_times(&mut self, dir: u32, lookup: u32, path: &str, flags: u32) -> Answer<()> {
        let [path, len] = self.path(PATH, path);
        let seconds = 1_000_000_000;
        let args = [dir.into(), lookup.into(), path, len, 5 * seconds, 7 * seconds, flags.into()];
        self.call("path_filestat_set_times", &args)
    }

    /// The bytes that `fd_readdir` fills a buffer of `buffer_len` bytes with.
    pub fn readdir(&mut self, fd: u32, buffer_len: u32, cookie: u64) -> Answer<Vec<u8>> {
        self.call("fd_readdir", &[fd.into(), BUFFER.into(), buffer_len.into(), cookie, RESULT.into()])?;
        Ok(self.get(BUFFER, self.u32_at(RESULT) as usize).to_vec())
    }
}
