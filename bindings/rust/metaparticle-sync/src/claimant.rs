//! What locks and candidates share: a name, a handle, and its present grant.

use crate::client::{guarded, Client, Outcome, Request};
use crate::error::{Error, Status};
use crate::grant::{Grant, Guard};
use crate::handle::Handle;
use crate::native::{self, Event, Options as NativeOptions};
use crate::options::Options;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};

pub(crate) const WAIT_AS_OPTION: i64 = -2;
pub(crate) const WAIT_FOR_EVER: i64 = -1;

pub(crate) struct Claimant {
    pub handle: Arc<Handle>,
    pub name: Arc<str>,
    present: Mutex<Weak<Grant>>,
}

impl Claimant {
    pub fn open(
        name: &str,
        options: &Options,
        make: fn(&crate::native::Client, &str, &NativeOptions) -> Result<native::Handle, Error>,
    ) -> Result<Claimant, Error> {
        let client = Client::of(options.url.as_deref())?;
        let native = NativeOptions::new(&options.settings)?;
        let handle = make(&client.native, name, &native)?;
        Ok(Claimant {
            handle: Arc::new(Handle::new(client, handle)),
            name: name.into(),
            present: Mutex::default(),
        })
    }

    pub fn start(
        self: &Arc<Self>,
        value: Option<&str>,
        wait_ms: i64,
    ) -> Result<Arc<Request>, Error> {
        let claimant = Arc::clone(self);
        let request = Request::for_grant(Box::new(move |event| claimant.begin(event)));
        self.handle
            .client
            .start(&request, |op| self.handle.start(op, value, wait_ms))?;
        Ok(request)
    }

    fn begin(&self, event: &Event) -> Arc<Grant> {
        let grant = Grant::new(&self.handle, &self.name, event.grant, event.token);
        *guarded(&self.present) = Arc::downgrade(&grant);
        grant
    }

    pub fn take(&self, value: Option<&str>, wait_ms: i64) -> Result<Guard, Error> {
        let event = self
            .handle
            .client
            .wait(|op| self.handle.start(op, value, wait_ms))?;
        Ok(Guard {
            grant: self.begin(&event),
            in_background: false,
        })
    }

    pub fn take_async(self: &Arc<Self>, value: Option<&str>, wait_ms: i64) -> Acquire {
        Acquire {
            claimant: Arc::clone(self),
            state: self.start(value, wait_ms).into(),
        }
    }

    pub fn present(&self) -> Option<Arc<Grant>> {
        guarded(&self.present)
            .upgrade()
            .filter(|grant| grant.is_held())
    }

    pub fn release(&self) -> Result<(), Error> {
        let grant = self
            .present()
            .ok_or_else(|| Error::new(Status::NotHeld, format!("\"{}\" is not held", self.name)))?;
        grant.release()
    }
}

fn guard_of(outcome: Outcome) -> Result<Guard, Error> {
    match outcome? {
        Some(grant) => Ok(Guard {
            grant,
            in_background: true,
        }),
        None => Err(Error::new(Status::Internal, "a grant without its facts")),
    }
}

enum Asking {
    Failed(Option<Error>),
    Waiting(Arc<Request>),
    Done,
}

impl From<Result<Arc<Request>, Error>> for Asking {
    fn from(started: Result<Arc<Request>, Error>) -> Asking {
        started.map_or_else(|error| Asking::Failed(Some(error)), Asking::Waiting)
    }
}

/// A request for a lock or a term, under way from the moment it is made. Dropping it withdraws it.
#[must_use = "it is withdrawn when it is dropped"]
pub struct Acquire {
    claimant: Arc<Claimant>,
    state: Asking,
}

impl Future for Acquire {
    type Output = Result<Guard, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = match &mut self.state {
            Asking::Failed(error) => Err(error.take().expect("polled after its end")),
            Asking::Waiting(request) => match request.poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(outcome) => guard_of(outcome),
            },
            Asking::Done => panic!("polled after its end"),
        };
        self.state = Asking::Done;
        Poll::Ready(outcome)
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        if let Asking::Waiting(request) = &self.state {
            request.abandon();
            self.claimant.handle.cancel();
        }
    }
}

/// Ends a waiting request from elsewhere, which then fails with [`Status::Cancelled`].
#[derive(Clone)]
pub struct Canceller(pub(crate) Arc<Handle>);

impl Canceller {
    /// Does nothing if no request waits.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}
