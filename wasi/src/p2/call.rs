//! What a function of 0.2 is, and what it is called with.

use super::resources::{Entry, Handle, Own, Resources};
use super::values::{FromVal, IntoVal};
use crate::host::ctx::MISSING_CONTEXT;
use crate::host::input::StreamError;
use crate::host::wait::Call;
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
    /// It doesn't: it is to be suspended, and what it does tried again; see [`Cx::retry`].
    MustWait,
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
            host::Error::MustWait => Self::MustWait,
            error => Self::message(error.to_string()),
        }
    }
}

/// An error that may say that something is to be tried again.
pub trait MustWait: From<Error> {
    /// Whether it says so.
    fn must_wait(&self) -> bool;
}

impl MustWait for Error {
    fn must_wait(&self) -> bool {
        matches!(self, Self::MustWait)
    }
}

impl<E> MustWait for Fail<E> {
    fn must_wait(&self) -> bool {
        matches!(self, Self::End(Error::MustWait))
    }
}

/// What becomes of a guest whose output is written at its end: that it can't be written is no reason for another end.
///
/// # Errors
/// An interruption, or that it is to be tried again.
pub fn unless_lost(flushed: Result<(), StreamError>) -> Result<(), Error> {
    match flushed {
        Err(StreamError::Failed(error @ (host::Error::Interrupted | host::Error::MustWait))) => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
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
        let mut cx = Self { store };
        cx.begin()?;
        Ok(cx)
    }

    fn begin(&mut self) -> Result<(), Error> {
        let call = Call::of(self.store);
        let (engine, slots) = self.store.engine_and_slots_mut();
        let ctx = slots.get_mut::<WasiCtx>().ok_or_else(|| Error::message(MISSING_CONTEXT))?;
        ctx.host.waiter.begin_call(engine, call);
        Ok(())
    }

    /// Tries something that may wait; where the guest can be suspended, again and again, and others use the store in between.
    ///
    /// # Errors
    /// Those of the attempt, and what ends the guest meanwhile.
    pub fn retry<T, E: MustWait>(&mut self, mut attempt: impl FnMut(&mut Self) -> Result<T, E>) -> Result<T, E> {
        loop {
            match attempt(self) {
                Err(error) if error.must_wait() => {}
                done => return done,
            }
            let wait = self.host().waiter.take_wait().expect("what is put off says what it waits for");
            wait.run(self.store).map_err(Error::from)?;
            self.begin()?;
        }
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
