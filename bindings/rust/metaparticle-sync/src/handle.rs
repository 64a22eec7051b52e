//! What locks and candidates share: a name, a handle of the C library, and who is told of waiting.

use crate::client::Client;
use crate::error::Error;
use crate::grant::Guard;
use crate::native::{self, Event};
use crate::options::Options;
use crate::request::{guarded, Request, Waiters};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

pub(crate) const WAIT_AS_OPTION: i64 = -2;
pub(crate) const WAIT_FOR_EVER: i64 = -1;

/// What a request waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Who has it; `None`: nobody, and the store does not answer.
    pub holder: Option<String>,
    /// 1 is next; 0 is not known.
    pub position: u32,
    /// How long the holder's record has been seen unchanged.
    pub unchanged: Duration,
}

type OnWaiting = Arc<dyn Fn(&Waiting) + Send + Sync>;

pub(crate) struct Handle {
    native: native::Handle,
    pub client: Client,
    pub name: String,
    /// The number of the present run, or of the next.
    run: AtomicU64,
    /// A run whose future was dropped, until nothing is left of it, and who waits for that.
    pub former: Mutex<Option<Request>>,
    pub waiters: Arc<Waiters>,
    on_waiting: Mutex<Option<OnWaiting>>,
}

impl Handle {
    pub fn open(
        name: &str,
        options: &Options,
        make: fn(&native::Client, &str, &native::Options) -> Result<native::Handle, Error>,
    ) -> Result<Arc<Handle>, Error> {
        let client = match &options.client {
            Some(client) => client.clone(),
            None => Client::shared(options.url.as_deref())?,
        };
        let native = make(client.native(), name, &native::Options::new(&options.settings)?)?;
        let (id, run) = (native.id(), AtomicU64::new(client.number()));
        let (name, former, on_waiting) = (name.to_owned(), Mutex::default(), Mutex::default());
        let waiters = Arc::default();
        let handle = Arc::new(Handle { native, client, name, run, former, waiters, on_waiting });
        handle.client.books()?.handles.insert(id, Arc::downgrade(&handle));
        Ok(handle)
    }

    #[inline]
    pub fn native(&self) -> &native::Handle {
        &self.native
    }

    pub fn take(&self, value: Option<&str>, wait_ms: i64) -> Result<Guard, Error> {
        let told = self.client.wait(|number| self.native.start(number, value, wait_ms))?;
        told.guard(false)
    }

    pub fn take_async(self: &Arc<Self>, value: Option<&str>, wait_ms: i64) -> Acquire {
        let start = |number| self.native.start(number, value, wait_ms);
        let request = Request::start(&self.client, self.client.number(), start);
        Acquire { handle: Arc::clone(self), request: Some(request) }
    }

    pub fn is_held(&self) -> bool {
        self.native.is_held(self.native.grant())
    }

    /// Release what is held. The term of a run is told to end, and goes on until its work has ended.
    pub fn release(&self) -> Result<(), Error> {
        let number = self.native.grant();
        let grant = self.client.grant(number);
        let released = self.native.release();
        if let Some(grant) = grant.filter(|grant| !grant.is_held()) {
            grant.end_asked();
        }
        released
    }

    /// The number of the present run, or of the next.
    pub fn run_number(&self) -> u64 {
        self.run.load(Ordering::SeqCst)
    }

    /// If this is the present run, it is over: the next one has another number before anybody can
    /// know that this one has ended.
    pub fn end_run(&self, number: u64) -> bool {
        let next = |present| (present == number).then(|| self.client.number());
        self.run.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).is_ok()
    }

    pub fn on_waiting(&self, told: impl Fn(&Waiting) + Send + Sync + 'static) {
        *guarded(&self.on_waiting) = Some(Arc::new(told));
    }

    pub fn tell_waiting(&self, event: &Event) {
        let Some(told) = guarded(&self.on_waiting).clone() else {
            return;
        };
        let waiting = Waiting {
            holder: event.holder(),
            position: event.position,
            unchanged: Duration::from_millis(event.unchanged_ms.max(0) as u64),
        };
        self.client.tell(move || told(&waiting));
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Ok(mut books) = self.client.books() {
            books.handles.remove(&self.native.id());
        }
    }
}

/// A request for a lock or a term, under way from the moment it is made. Dropping it withdraws it:
/// nothing stays held or queued, and the same lock may be asked for again at once.
#[must_use = "it is withdrawn when it is dropped"]
pub struct Acquire {
    handle: Arc<Handle>,
    request: Option<Result<Request, Error>>,
}

impl Future for Acquire {
    type Output = Result<Guard, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = match self.request.as_ref().expect("polled after its end") {
            Err(error) => Err(error.clone()),
            Ok(request) => match request.poll_next(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(told) => told.and_then(|told| told.guard(true)),
            },
        };
        self.request = None;
        Poll::Ready(outcome)
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        if let Some(Ok(request)) = &self.request {
            self.handle.native.withdraw(request.number);
        }
    }
}

/// Ends a waiting request from elsewhere, which then fails with
/// [`Status::Cancelled`](crate::Status::Cancelled), or stops a run.
#[derive(Clone)]
pub struct Canceller(pub(crate) Arc<Handle>);

impl Canceller {
    /// Does nothing if no request waits.
    pub fn cancel(&self) {
        self.0.native.cancel();
    }
}
