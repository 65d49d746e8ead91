//! What a function and a resource of an interface are: rows of tables, whose code are Rust functions with Rust's types.

use super::cx::Cx;
use super::error::{Error, Fail};
use super::later::Call;
use super::resources::Entry;
use super::values::{FromVal, IntoVal};
use ampoule_component::{HostFuture, Val};

/// One function of an interface.
#[derive(Clone, Copy)]
pub struct Function {
    /// The package and interface, without version.
    pub interface: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// Its code.
    pub code: Code,
}

/// The code of a function: from arguments to its result, where it has one.
#[derive(Clone, Copy)]
pub enum Code {
    /// Runs to its end; where it has to wait, the guest does.
    Now(fn(&mut Cx<'_>, &mut [Val]) -> Result<Option<Val>, Error>),
    /// Makes a future, beside which the guest may go on.
    Later(fn(Call, Vec<Val>) -> HostFuture),
}

/// A row: the code is a Rust function whose types say those of the WIT text.
macro_rules! row {
    ($interface:literal, $name:literal, $code:expr) => {
        $crate::component::Function {
            interface: $interface,
            name: $name,
            code: $crate::component::Code::Now(|cx, args| $crate::component::call::Typed::run(&$code, cx, args)),
        }
    };
}
pub(crate) use row;

/// A row of what may take a while: the code is an `async` function.
macro_rules! later {
    ($interface:literal, $name:literal, $code:expr) => {
        $crate::component::Function {
            interface: $interface,
            name: $name,
            code: $crate::component::Code::Later(|call, args| $crate::component::later::run($code, call, args)),
        }
    };
}
pub(crate) use later;

/// One resource type of an interface.
#[derive(Clone, Copy)]
pub struct Resource {
    /// The package and interface, without version.
    pub interface: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// Its number among all of the host's.
    pub ty: u32,
    /// What happens to an entry, which has this number, when the guest drops it.
    pub dropped: fn(&mut Cx<'_>, u32) -> Result<(), Error>,
}

impl Resource {
    /// Entries of this kind, which just go.
    pub const fn of<T: Entry>(interface: &'static str) -> Self {
        Self { interface, name: T::NAME, ty: T::TYPE, dropped: |cx, rep| cx.parts().1.remove(rep).map(drop) }
    }

    /// The same, of which something else becomes.
    pub const fn dropped_by(self, dropped: fn(&mut Cx<'_>, u32) -> Result<(), Error>) -> Self {
        Self { dropped, ..self }
    }
}

/// What a function answers, as a value.
pub trait Answer {
    /// The value, where there is one.
    ///
    /// # Errors
    /// What ends the guest.
    fn answer(self, cx: &mut Cx<'_>) -> Result<Option<Val>, Error>;
}

impl<T: IntoVal> Answer for Result<T, Error> {
    fn answer(self, cx: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        self?.into_val(cx)
    }
}

impl<T: IntoVal, E: IntoVal> Answer for Result<T, Fail<E>> {
    fn answer(self, cx: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let result = match self {
            Ok(value) => Ok(value.into_val(cx)?),
            Err(Fail::Err(error)) => Err(error.into_val(cx)?),
            Err(Fail::End(error)) => return Err(error),
        };
        Ok(Some(Val::result(result)))
    }
}

/// A Rust function that can be the code of one: its arguments and answer are values.
pub trait Typed<Args> {
    /// Takes the arguments, runs, and makes the answer.
    ///
    /// # Errors
    /// Arguments of other types, and what ends the guest.
    fn run(&self, cx: &mut Cx<'_>, args: &mut [Val]) -> Result<Option<Val>, Error>;
}

macro_rules! typed {
    ($($arg:ident)*) => {
        impl<F, R, $($arg),*> Typed<($($arg,)*)> for F
        where
            F: Fn(&mut Cx<'_>, $($arg),*) -> R,
            R: Answer,
            $($arg: FromVal,)*
        {
            #[allow(non_snake_case, unused_mut, unused_variables)] // Of each arity, also none.
            fn run(&self, cx: &mut Cx<'_>, args: &mut [Val]) -> Result<Option<Val>, Error> {
                let mut args = args.iter_mut();
                $(let $arg = $arg::from_val(cx, args.next().ok_or_else(wrong_count)?)?;)*
                if args.next().is_some() {
                    return Err(wrong_count());
                }
                self(cx, $($arg),*).answer(cx)
            }
        }
    };
}

typed!();
typed!(A);
typed!(A B);
typed!(A B C);
typed!(A B C D);
typed!(A B C D E);

#[cold]
pub(super) fn wrong_count() -> Error {
    Error::message("the import has another number of parameters than the function")
}
