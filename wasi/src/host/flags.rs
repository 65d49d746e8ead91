//! Sets of flags that can't hold an unknown one.

/// Declares a set of flags: a newtype over its bits that can't hold an unknown bit.
macro_rules! flags {
    ($(#[$doc:meta])* $name:ident: $repr:ty { $($(#[$flag_doc:meta])* $flag:ident = $bit:expr,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name($repr);

        #[allow(missing_docs, dead_code)] // The name says it; not every set uses all of this.
        impl $name {
            $($(#[$flag_doc])* pub const $flag: Self = Self(1 << $bit);)*

            /// Every flag there is.
            pub const ALL: Self = Self(0 $(| 1 << $bit)*);

            /// No flag.
            pub const NONE: Self = Self(0);

            /// The flags in a guest's or an embedder's number; `None` when it has an unknown bit.
            pub const fn from_bits(bits: u64) -> Option<Self> {
                if bits & !(Self::ALL.0 as u64) == 0 { Some(Self(bits as $repr)) } else { None }
            }

            /// The flags as their number.
            pub const fn bits(self) -> $repr {
                self.0
            }

            /// Whether all of `other` are set.
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// The flags of either.
            pub const fn with(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// The flags of both.
            pub const fn and(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }

            /// These flags except `other`.
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }

            /// `self` when `condition` holds, else no flag.
            pub const fn when(self, condition: bool) -> Self {
                if condition { self } else { Self::NONE }
            }
        }
    };
}
pub(crate) use flags;
