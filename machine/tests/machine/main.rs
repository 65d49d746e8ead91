//! The machine by itself, under builtins that only note how they were called, and with guest code written by hand. What a whole
//! engine would hide can be seen here: registers across a builtin, frames, what a fault leaves behind.

mod builtins;
mod entry;
mod faults;
mod fork;
mod guest;
mod switch;

/// No function here is compiled at its first call.
fn install() {
    builtins::install(std::ptr::null());
}
