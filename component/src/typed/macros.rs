//! Declaring types of one's own.

/// Declares Rust types that stand for types of components: records, variants, enums and flags.
///
/// Names in Rust stand for names of components with the same letters: `content_type` and `ContentType` for `content-type`.
/// Fields, cases and flags are those of the component's type, in its order.
///
/// ```
/// ampoule_component::component_types! {
///     /// A `record`.
///     #[derive(Clone, Debug, PartialEq)]
///     pub record Point {
///         /// Across.
///         pub x: f32,
///         /// Up.
///         pub y: f32,
///     }
///
///     /// A `variant`: cases with one value, or none.
///     #[derive(Clone, Debug, PartialEq)]
///     pub variant Shape {
///         Circle(f32),
///         Polygon(Vec<Point>),
///         Nothing,
///     }
///
///     /// An `enum`.
///     #[derive(Clone, Copy, Debug, PartialEq)]
///     pub enum Colour { Red, DarkGreen }
///
///     /// `flags`: whether each is set.
///     #[derive(Clone, Copy, Debug, Default, PartialEq)]
///     pub flags Permissions { pub read, pub write }
/// }
///
/// let shape = Shape::Polygon(vec![Point { x: 0.0, y: 1.5 }]);
/// # let _ = (shape, Colour::Red, Permissions { read: true, ..Permissions::default() }, Shape::Nothing, Shape::Circle(1.0), Colour::DarkGreen);
/// ```
#[macro_export]
macro_rules! component_types {
    () => {};

    (
        $(#[$meta:meta])*
        $vis:vis record $name:ident { $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $ty:ty),* $(,)? }
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        $vis struct $name {
            $($(#[$field_meta])* $field_vis $field: $ty,)*
        }

        impl $crate::typed::ComponentType for $name {
            fn matches(ty: &$crate::types::ValType) -> ::std::result::Result<(), ::std::string::String> {
                let $crate::types::ValType::Record(record) = ty else {
                    return ::std::result::Result::Err($crate::typed::mismatch(::std::stringify!($name), ty));
                };
                let mut fields = record.fields().iter();
                $(
                    let field = fields
                        .next()
                        .filter(|field| $crate::typed::is_name(field.name.as_bytes(), ::std::stringify!($field)))
                        .ok_or_else(|| ::std::format!(
                            "the record has no field `{}` after {} others",
                            ::std::stringify!($field),
                            record.fields().len() - fields.len(),
                        ))?;
                    <$ty as $crate::typed::ComponentType>::matches(&field.ty)
                        .map_err(|why| ::std::format!("field `{}`: {why}", field.name))?;
                )*
                match fields.next() {
                    ::std::option::Option::None => ::std::result::Result::Ok(()),
                    ::std::option::Option::Some(field) => ::std::result::Result::Err(
                        ::std::format!("`{}` has no field `{}`", ::std::stringify!($name), field.name),
                    ),
                }
            }
        }

        impl $crate::typed::Lower for $name {
            fn lower(
                &self,
                store: &mut $crate::typed::Store,
                ty: &$crate::types::ValType,
            ) -> ::std::result::Result<$crate::Val, $crate::typed::Error> {
                let $crate::types::ValType::Record(record) = ty else {
                    return ::std::result::Result::Err($crate::typed::unexpected("record"));
                };
                let mut fields = record.fields().iter();
                ::std::result::Result::Ok($crate::Val::record([$({
                    let field = fields.next().ok_or_else(|| $crate::typed::unexpected("record"))?;
                    (&*field.name, $crate::typed::Lower::lower(&self.$field, store, &field.ty)?)
                }),*]))
            }
        }

        impl $crate::typed::Lift for $name {
            fn lift(
                store: &mut $crate::typed::Store,
                val: &mut $crate::Val,
            ) -> ::std::result::Result<Self, $crate::typed::Error> {
                let mut fields = val.take_record().ok_or_else(|| $crate::typed::unexpected("record"))?;
                let mut fields = fields.iter_mut();
                ::std::result::Result::Ok(Self {
                    $($field: {
                        let field = fields.next().ok_or_else(|| $crate::typed::unexpected("record"))?;
                        $crate::typed::Lift::lift(store, &mut field.val)?
                    },)*
                })
            }
        }

        $crate::component_types! { $($rest)* }
    };

    (
        $(#[$meta:meta])*
        $vis:vis variant $name:ident { $($(#[$case_meta:meta])* $case:ident $(($ty:ty))?),* $(,)? }
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        $vis enum $name {
            $($(#[$case_meta])* $case $(($ty))?,)*
        }

        impl $crate::typed::ComponentType for $name {
            fn matches(ty: &$crate::types::ValType) -> ::std::result::Result<(), ::std::string::String> {
                let $crate::types::ValType::Variant(variant) = ty else {
                    return ::std::result::Result::Err($crate::typed::mismatch(::std::stringify!($name), ty));
                };
                let mut cases = variant.cases().iter();
                $(
                    let case = cases
                        .next()
                        .filter(|case| $crate::typed::is_name(case.name.as_bytes(), ::std::stringify!($case)))
                        .ok_or_else(|| ::std::format!("the variant has no case `{}` in its place", ::std::stringify!($case)))?;
                    $crate::typed::values::matches_payload::<$crate::component_types!(@payload $($ty)?)>(case.ty.as_ref())
                        .map_err(|why| ::std::format!("case `{}`: {why}", case.name))?;
                )*
                match cases.next() {
                    ::std::option::Option::None => ::std::result::Result::Ok(()),
                    ::std::option::Option::Some(case) => ::std::result::Result::Err(
                        ::std::format!("`{}` has no case `{}`", ::std::stringify!($name), case.name),
                    ),
                }
            }
        }

        impl $crate::typed::Lower for $name {
            #[allow(unused_variables, reason = "none of the cases may have a value")]
            fn lower(
                &self,
                store: &mut $crate::typed::Store,
                ty: &$crate::types::ValType,
            ) -> ::std::result::Result<$crate::Val, $crate::typed::Error> {
                let $crate::types::ValType::Variant(variant) = ty else {
                    return ::std::result::Result::Err($crate::typed::unexpected("variant"));
                };
                let case = |name: &str| {
                    let found = variant.cases().iter().find(|case| $crate::typed::is_name(case.name.as_bytes(), name));
                    found.ok_or_else(|| $crate::typed::unexpected("case of the variant"))
                };
                ::std::result::Result::Ok(match self {
                    $($crate::component_types!(@pattern value $name $case $(($ty))?) => {
                        let case = case(::std::stringify!($case))?;
                        let payload = $crate::component_types!(@lower value store case $($ty)?);
                        $crate::Val::variant(&*case.name, payload)
                    })*
                })
            }
        }

        impl $crate::typed::Lift for $name {
            #[allow(unused_variables, reason = "none of the cases may have a value")]
            fn lift(
                store: &mut $crate::typed::Store,
                val: &mut $crate::Val,
            ) -> ::std::result::Result<Self, $crate::typed::Error> {
                let (name, payload) = val.take_variant().ok_or_else(|| $crate::typed::unexpected("variant"))?;
                $(
                    if $crate::typed::is_name(name.as_slice(), ::std::stringify!($case)) {
                        return ::std::result::Result::Ok($crate::component_types!(@lift payload store $name $case $(($ty))?));
                    }
                )*
                ::std::result::Result::Err($crate::typed::unexpected("case of the variant"))
            }
        }

        $crate::component_types! { $($rest)* }
    };

    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident { $($(#[$case_meta:meta])* $case:ident),* $(,)? }
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        $vis enum $name {
            $($(#[$case_meta])* $case,)*
        }

        $crate::component_types! { @names $name Enum $($case)* }

        impl $crate::typed::Lower for $name {
            fn lower(
                &self,
                _: &mut $crate::typed::Store,
                ty: &$crate::types::ValType,
            ) -> ::std::result::Result<$crate::Val, $crate::typed::Error> {
                let name = match self {
                    $(Self::$case => ::std::stringify!($case),)*
                };
                let $crate::types::ValType::Enum(found) = ty else {
                    return ::std::result::Result::Err($crate::typed::unexpected("enum"));
                };
                let found = found.names().iter().find(|found| $crate::typed::is_name(found.as_bytes(), name));
                let found = found.ok_or_else(|| $crate::typed::unexpected("case of the enum"))?;
                ::std::result::Result::Ok($crate::Val::enumeration(&**found))
            }
        }

        impl $crate::typed::Lift for $name {
            fn lift(
                _: &mut $crate::typed::Store,
                val: &mut $crate::Val,
            ) -> ::std::result::Result<Self, $crate::typed::Error> {
                let $crate::ValRef::Enum(name) = val.get() else {
                    return ::std::result::Result::Err($crate::typed::unexpected("enum"));
                };
                $(
                    if $crate::typed::is_name(name, ::std::stringify!($case)) {
                        return ::std::result::Result::Ok(Self::$case);
                    }
                )*
                ::std::result::Result::Err($crate::typed::unexpected("case of the enum"))
            }
        }

        $crate::component_types! { $($rest)* }
    };

    (
        $(#[$meta:meta])*
        $vis:vis flags $name:ident { $($(#[$flag_meta:meta])* $flag_vis:vis $flag:ident),* $(,)? }
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        $vis struct $name {
            $($(#[$flag_meta])* $flag_vis $flag: bool,)*
        }

        $crate::component_types! { @names $name Flags $($flag)* }

        impl $crate::typed::Lower for $name {
            fn lower(
                &self,
                _: &mut $crate::typed::Store,
                ty: &$crate::types::ValType,
            ) -> ::std::result::Result<$crate::Val, $crate::typed::Error> {
                let $crate::types::ValType::Flags(found) = ty else {
                    return ::std::result::Result::Err($crate::typed::unexpected("flags"));
                };
                let set = found.names().iter().zip([$(self.$flag),*]).filter(|(_, set)| *set);
                ::std::result::Result::Ok($crate::Val::flags(set.map(|(name, _)| &**name)))
            }
        }

        impl $crate::typed::Lift for $name {
            fn lift(
                _: &mut $crate::typed::Store,
                val: &mut $crate::Val,
            ) -> ::std::result::Result<Self, $crate::typed::Error> {
                let $crate::ValRef::Flags(set) = val.get() else {
                    return ::std::result::Result::Err($crate::typed::unexpected("flags"));
                };
                let is_set = |flag: &str| set.iter().any(|name| $crate::typed::is_name(name.as_slice(), flag));
                ::std::result::Result::Ok(Self { $($flag: is_set(::std::stringify!($flag)),)* })
            }
        }

        $crate::component_types! { $($rest)* }
    };

    (@names $name:ident $kind:ident $($listed:ident)*) => {
        impl $crate::typed::ComponentType for $name {
            fn matches(ty: &$crate::types::ValType) -> ::std::result::Result<(), ::std::string::String> {
                let $crate::types::ValType::$kind(found) = ty else {
                    return ::std::result::Result::Err($crate::typed::mismatch(::std::stringify!($name), ty));
                };
                $crate::typed::names_match(::std::stringify!($name), found.names(), &[$(::std::stringify!($listed)),*])
            }
        }
    };
    (@payload) => { () };
    (@payload $ty:ty) => { $ty };
    (@pattern $value:ident $name:ident $case:ident) => { $name::$case };
    (@pattern $value:ident $name:ident $case:ident ($ty:ty)) => { $name::$case($value) };
    (@lower $value:ident $store:ident $case_ty:ident) => { ::std::option::Option::None };
    (@lower $value:ident $store:ident $case_ty:ident $ty:ty) => {
        $crate::typed::values::lower_payload::<$ty>($value, $store, $case_ty.ty.as_ref())?
    };
    (@lift $payload:ident $store:ident $name:ident $case:ident) => { $name::$case };
    (@lift $payload:ident $store:ident $name:ident $case:ident ($ty:ty)) => {
        $name::$case($crate::typed::values::lift_payload::<$ty>($store, $payload)?)
    };
}
