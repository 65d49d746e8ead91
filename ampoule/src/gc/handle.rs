//! Counted handles in words, as C holds them: the store's id, and the address of what the handle shares with its store.

/// What is wrong with a handle that the host has given back already.
pub(crate) const UNROOTED: &str = "the reference was unrooted before";

/// Ends a process that uses a handle which it has given back already; `name` is the type of the C interface.
#[cold]
pub(crate) fn end_unrooted(name: &str) -> ! {
    eprintln!("`{name}`: {UNROOTED}");
    std::process::abort()
}

/// How a handle crosses to C and back. It is a struct of `store_id` and, in `$shared`, an `Arc<$Shared>`; `$Shared::has_handle` says
/// whether the host has one left. `$name` is the type of the C interface; without it each function that takes words is told.
macro_rules! handle_in_words {
    ($Handle:ident, $shared:ident: $Shared:ident, $name:literal) => {
        handle_in_words!($Handle, $shared: $Shared);

        impl $Handle {
            /// Another handle like the one in these words, which stays C's; `None` for null. Ends the process where C has given it back
            /// already, as far as that can be told.
            ///
            /// # Safety
            /// The words come from `into_vm`.
            pub unsafe fn clone_vm(words: &VmRef) -> Option<Self> {
                // SAFETY: by the caller.
                unsafe { Self::clone_named(words, $name) }
            }

            /// The handle in these words, which C gives up; null is left behind. Ends the process as `clone_vm` does.
            ///
            /// # Safety
            /// The words come from `into_vm`.
            pub unsafe fn take_vm(words: &mut VmRef) -> Option<Self> {
                // SAFETY: by the caller.
                unsafe { Self::take_named(words, $name) }
            }
        }
    };
    ($Handle:ident, $shared:ident: $Shared:ident) => {
        impl $Handle {
            /// The handle in words, for C.
            #[inline]
            pub fn into_vm(value: Option<Self>) -> VmRef {
                value.map_or(VmRef::NULL, |value| VmRef {
                    store_id: value.store_id,
                    private3: Arc::into_raw(value.$shared).cast(),
                    ..VmRef::NULL
                })
            }

            /// Another handle like the one in these words, which stays C's; `None` for null. Ends the process where C has given it back
            /// already, as far as that can be told. `name` is the type that C has it as.
            ///
            /// # Safety
            /// The words come from `into_vm`.
            pub(crate) unsafe fn clone_named(words: &VmRef, name: &str) -> Option<Self> {
                // SAFETY: by the caller. The handle stays where it is: the clone has a count of its own.
                unsafe { Self::handle_in(words, name) }.map(|handle| Self::clone(&handle))
            }

            /// The handle in these words, which C gives up; null is left behind. Ends the process as `clone_named` does.
            ///
            /// # Safety
            /// The words come from `into_vm`.
            pub(crate) unsafe fn take_named(words: &mut VmRef, name: &str) -> Option<Self> {
                // SAFETY: by the caller; the words are forgotten.
                let handle = unsafe { Self::handle_in(words, name) };
                *words = VmRef::NULL;
                handle.map(ManuallyDrop::into_inner)
            }

            /// The handle in these words, without a count of its own; `None` for null.
            ///
            /// # Safety
            /// The words come from `into_vm`.
            unsafe fn handle_in(words: &VmRef, name: &str) -> Option<ManuallyDrop<Self>> {
                let shared = words.private3.cast::<$Shared>();
                if words.store_id == 0 || shared.is_null() {
                    return None;
                }
                // SAFETY: by the caller, and as was just looked up, the handle was not given back.
                unsafe {
                    if !$Shared::has_handle(shared) {
                        crate::gc::handle::end_unrooted(name);
                    }
                    Some(ManuallyDrop::new(Self { store_id: words.store_id, $shared: Arc::from_raw(shared) }))
                }
            }
        }
    };
}

pub(crate) use handle_in_words;
