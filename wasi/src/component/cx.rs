//! What a function is called with: the store that it is in.

use super::error::{Error, MustWait};
use super::resources::{Entry, Handle, Resources};
use crate::host::ctx::MISSING_CONTEXT;
use crate::host::http::HttpCtx;
use crate::host::poll::{Interest, Poll};
use crate::host::wait::Call;
use crate::host::{self, Host, WasiCtx, http};
use ampoule::Store;
use ampoule_component::types::FuncType;

/// A call that is running.
pub struct Cx<'a> {
    store: &'a mut Store,
    /// The function, as the guest imports it; `None` of what is no call of a function.
    ty: Option<&'a FuncType>,
    /// Whether it runs in a poll: where it has to wait, it says so, and is not suspended itself.
    is_polled: bool,
}

impl<'a> Cx<'a> {
    /// A call from a guest in this store.
    ///
    /// # Errors
    /// Where the store has no context.
    pub fn new(store: &'a mut Store, ty: Option<&'a FuncType>) -> Result<Self, Error> {
        Self::begun(store, ty, false)
    }

    /// A part of a call, or of what a guest waits for, that runs in a poll.
    ///
    /// # Errors
    /// Where the store has no context.
    pub fn in_poll(store: &'a mut Store, ty: Option<&'a FuncType>) -> Result<Self, Error> {
        Self::begun(store, ty, true)
    }

    fn begun(store: &'a mut Store, ty: Option<&'a FuncType>, is_polled: bool) -> Result<Self, Error> {
        let mut cx = Self { store, ty, is_polled };
        cx.begin()?;
        Ok(cx)
    }

    fn begin(&mut self) -> Result<(), Error> {
        let call = if self.is_polled { Call::polled(self.store) } else { Call::of(self.store) };
        WasiCtx::of(self.store).ok_or_else(|| Error::message(MISSING_CONTEXT))?;
        let (engine, slots) = self.store.engine_and_slots_mut();
        let ctx = slots.get_mut::<WasiCtx>().expect("it was just there");
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
                Err(error) if error.must_wait() && !self.is_polled => {}
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

    /// The type of the function, as the guest imports it.
    ///
    /// # Errors
    /// Outside of a call of one.
    pub fn ty(&self) -> Result<&'a FuncType, Error> {
        self.ty.ok_or_else(|| Error::message("no function is called"))
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

    /// Waits for one thing of the host's.
    ///
    /// # Errors
    /// An interruption; that it is to be tried again.
    pub fn wait_for(&mut self, interest: Interest<'_>) -> Result<(), host::Error> {
        self.host().with_waiter(|host, waiter| Poll::new(vec![interest]).wait(&host.clocks, waiter))
    }

    /// What the store gives its guest of HTTP.
    ///
    /// # Errors
    /// Nothing was given.
    pub fn http(&mut self) -> Result<HttpCtx, Error> {
        HttpCtx::of(self.store()).ok_or_else(|| Error::message(http::ctx::MISSING_CONTEXT))
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
