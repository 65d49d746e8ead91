//! Intel VTune's interface for compiled code. Its library does nothing unless the process runs under a collector.

use super::{Agent, Code};
use crate::os::sync::Mutex;
use ittapi_sys as itt;
use std::ffi::{CString, c_void};
use std::ptr;

/// Calls the collector.
pub(super) struct VTune;

impl Agent for VTune {
    fn loaded(&self, code: &Code<'_>) -> u32 {
        if !collecting() {
            return 0;
        }
        let lines = (code.lines)();
        // The collector takes one file for each function: the lines of others, which were inlined, are left out.
        let file = lines.first().map(|line| line.file.clone());
        let own = lines.iter().filter(|line| Some(&line.file) == file.as_ref());
        let mut lines: Vec<_> =
            own.map(|line| itt::_LineNumberInfo { Offset: line.offset, LineNumber: line.line }).collect();
        let (name, module) = (c_string(code.name), c_string(code.module));
        let file = file.map(|file| c_string(&file));
        notify(|| {
            // SAFETY: takes nothing.
            let id = unsafe { itt::iJIT_GetNewMethodID() };
            let mut method = itt::_iJIT_Method_Load {
                method_id: id,
                method_name: name.as_ptr().cast_mut(),
                method_load_address: code.address as *mut c_void,
                method_size: code.bytes.len() as u32,
                line_number_size: lines.len() as u32,
                line_number_table: if lines.is_empty() { ptr::null_mut() } else { lines.as_mut_ptr() },
                class_file_name: module.as_ptr().cast_mut(),
                source_file_name: file.as_ref().map_or(ptr::null_mut(), |file| file.as_ptr().cast_mut()),
                ..EMPTY
            };
            let event = itt::iJIT_jvm_event_iJVM_EVENT_TYPE_METHOD_LOAD_FINISHED;
            // SAFETY: the event's data, whose strings and lines live until the call returns; the collector copies them.
            unsafe { itt::iJIT_NotifyEvent(event, (&raw mut method).cast()) };
            id
        })
    }

    fn unloaded(&self, id: u32) {
        if id == 0 {
            return;
        }
        notify(|| {
            let mut method = itt::_iJIT_Method_Load { method_id: id, ..EMPTY };
            let event = itt::iJIT_jvm_event_iJVM_EVENT_TYPE_METHOD_UNLOAD_START;
            // SAFETY: the event's data, of which it takes the number.
            unsafe { itt::iJIT_NotifyEvent(event, (&raw mut method).cast()) };
        });
    }
}

const EMPTY: itt::_iJIT_Method_Load = itt::_iJIT_Method_Load {
    method_id: 0,
    method_name: ptr::null_mut(),
    method_load_address: ptr::null_mut(),
    method_size: 0,
    line_number_size: 0,
    line_number_table: ptr::null_mut(),
    class_id: 0,
    class_file_name: ptr::null_mut(),
    source_file_name: ptr::null_mut(),
};

fn collecting() -> bool {
    // SAFETY: takes nothing; the library finds its collector under the lock, as it may be asked by one thread at a time.
    notify(|| unsafe { itt::iJIT_IsProfilingActive() } == itt::_iJIT_IsProfilingActiveFlags_iJIT_SAMPLING_ON)
}

/// One call at a time, as the interface wants it, and none while the process forks.
fn notify<T>(call: impl FnOnce() -> T) -> T {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock();
    call()
}

fn c_string(text: &str) -> CString {
    let bytes: Vec<u8> = text.bytes().map(|byte| if byte == 0 { b'?' } else { byte }).collect();
    CString::new(bytes).expect("there is no NUL any more")
}
