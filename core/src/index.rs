//! Index newtypes: one type per index space, so that no two can be mixed up (docs/security.md, rule 5).
//!
//! Every index counts within one module, imports first, as the WebAssembly spec numbers them. "Defined" indices count
//! the module's own items only.

use crate::words::Word;
use serde::{Deserialize, Serialize};

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
        pub struct $name(pub u32);

        impl $name {
            /// The index as a slice position.
            #[inline]
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl Word for $name {
            fn from_word(word: u32) -> Self {
                Self(word)
            }

            fn word(self) -> u32 {
                self.0
            }
        }
    };
}

index!(
    /// A function type in a module's type section.
    TypeIndex
);
index!(
    /// A function, imported or defined.
    FuncIndex
);
index!(
    /// A function with a body in this module.
    DefinedFuncIndex
);
index!(
    /// A function of which a reference may be taken: it is exported, in an element segment, or named by `ref.func`.
    /// These have a `VmFuncRef` in the instance.
    FuncRefIndex
);
index!(
    /// A table, imported or defined.
    TableIndex
);
index!(
    /// A memory, imported or defined.
    MemoryIndex
);
index!(
    /// A global, imported or defined.
    GlobalIndex
);
index!(
    /// A tag, imported or defined.
    TagIndex
);
index!(
    /// An element segment.
    ElemIndex
);
index!(
    /// A data segment.
    DataIndex
);
