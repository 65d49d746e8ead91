//! What a function of 0.2 is, and what it is called with.

use super::resources::{Entry, Handle, Own, Resources};
use super::values::{FromVal, IntoVal};
use crate::host::ctx::MISSING_CONTEXT;
use crate::host::{self, Host, WasiCtx};
use ampoule::Store;
use ampoule_component::Val;

/// One function of 0.2.
#[derive(Clone, Copy)]
pub struct Function {
    /// The package and interface, without version.
    pub interface: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// Its code.
    pub call: Code,
}

/// The code of a function: from arguments to its result, where it has one.
pub type Code = fn(&mut Cx<'_>, &mut [Val]) -> Result<Option<Val>, Error>;

/// What ends the guest.
#[derive(Debug)]
pub enum Error {
    /// Its call is interrupted.
    Interrupted,
    /// This.
    Trap(ampoule::Error),
}

impl Error {
    /// With this text.
    pub fn message(text: impl Into<String>) -> Self {
        Self::Trap(ampoule::Error::message(text.into()))
    }
}

impl From<ampoule::Error> for Error {
    fn from(error: ampoule::Error) -> Self {
        Self::Trap(error)
    }
}

/// Of a function that has no error of its own.
impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::Interrupted => Self::Interrupted,
            error => Self::message(error.to_string()),
        }
    }
}

/// Why a function of type `result` doesn't succeed.
#[derive(Debug)]
pub enum Fail<E> {
    /// The guest is told.
    Err(E),
    /// The guest ends.
    End(Error),
}

impl<E> From<Error> for Fail<E> {
    fn from(error: Error) -> Self {
        Self::End(error)
    }
}

/// A call that is running: the store that it is in.
pub struct Cx<'a> {
    store: &'a mut Store,
}

impl<'a> Cx<'a> {
    /// A call from a guest in this store.
    ///
    /// # Errors
    /// Where the store has no context.
    pub fn new(store: &'a mut Store) -> Result<Self, Error> {
        let (epoch, cancel) = (store.interrupting_epoch(), store.cancel_check());
        let (engine, slots) = store.engine_and_slots_mut();
        let ctx = slots.get_mut::<WasiCtx>().ok_or_else(|| Error::message(MISSING_CONTEXT))?;
        ctx.host.waiter.set_call(engine, epoch, cancel);
        Ok(Self { store })
    }

    /// The store.
    pub fn store(&mut self) -> &mut Store {
        self.store
    }

    /// The host, and what the guest has of it.
    pub fn parts(&mut self) -> (&mut Host, &mut Resources) {
        let ctx = self.store.slots_mut().get_mut::<WasiCtx>().expect("looked at when the call began");
        ctx.with_state(Resources::new)
    }

    /// The host.
    pub fn host(&mut self) -> &mut Host {
        self.parts().0
    }

    /// The host, and one thing that the guest has.
    ///
    /// # Errors
    /// Where it hasn't.
    pub fn entry<T: Entry>(&mut self, handle: Handle<T>) -> Result<(&mut Host, &mut T), Error> {
        let (host, resources) = self.parts();
        Ok((host, resources.get_mut(handle)?))
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

/// A Rust function that can be the code of one of 0.2: its arguments and answer are values.
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
fn wrong_count() -> Error {
    Error::message("the import has another number of parameters than the function")
}

/// A new handle for a guest.
impl<T: Entry> IntoVal for Own<T> {
    fn into_val(self, cx: &mut Cx<'_>) -> Result<Option<Val>, Error> {
        let rep = cx.parts().1.insert(self)?;
        let handle = ampoule_component::ResourceHost { rep, ty: T::TYPE, owned: true };
        Ok(Some(Val::from(handle.into_any(cx.store())?)))
    }
}
