//! Sockets: there are none.
//!
//! Preview 1 can accept, send and receive on sockets, but not make one; they would have to be preopened, and the C API
//! has no way to say so. The calls therefore answer as for any descriptor that isn't a socket.

use crate::p1::types::Errno;
use crate::table::FdTable;

/// Why `fd` can't be used as a socket: `notsock` when it is open, else `badf`.
pub fn refusal(table: &FdTable, fd: u32) -> Errno {
    match table.get(fd) {
        Ok(_) => Errno::Notsock,
        Err(errno) => errno,
    }
}
