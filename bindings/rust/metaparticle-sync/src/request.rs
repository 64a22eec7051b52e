//! A call under way, and what is told of it.

use crate::client::Client;
use crate::error::{Error, Status};
use crate::grant::{Grant, Guard};
use crate::native::Event;
use std::collections::{hash_map::Entry, VecDeque};
use std::future::{poll_fn, Future};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// A panic elsewhere leaves nothing half done behind these locks.
pub(crate) fn guarded<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Tasks that wait for the same event: it wakes them all.
#[derive(Default)]
pub(crate) struct Waiters(Mutex<Vec<Waker>>);

impl Waiters {
    pub fn join(&self, waker: &Waker) {
        let mut wakers = guarded(&self.0);
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }
}

impl Wake for Waiters {
    fn wake(self: Arc<Self>) {
        let wakers = std::mem::take(&mut *guarded(&self.0));
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// Waits in this thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

/// An event, with the grant that it begins.
pub(crate) struct Told {
    pub event: Event,
    pub grant: Option<Arc<Grant>>,
}

impl Told {
    pub fn guard(self, in_background: bool) -> Result<Guard, Error> {
        self.event.result()?;
        let grant = self.grant.ok_or(Status::Closed)?;
        Ok(Guard::new(grant, in_background))
    }
}

#[derive(Default)]
struct Letters {
    told: VecDeque<Told>,
    waker: Option<Waker>,
    forsaken: bool,
}

/// Where the client's thread puts what it reads, for one thread or task.
#[derive(Default)]
pub(crate) struct Inbox(Mutex<Letters>);

impl Inbox {
    pub fn push(&self, mut told: Told) {
        let mut letters = guarded(&self.0);
        let unwanted = told.grant.take_if(|_| letters.forsaken);
        letters.told.push_back(told);
        let waker = letters.waker.take();
        drop(letters);
        unwanted.inspect(|term| term.done(false));
        waker.into_iter().for_each(Waker::wake);
    }
}

/// Not told of any more when it is dropped.
pub(crate) struct Request {
    pub client: Client,
    pub number: u64,
    inbox: Arc<Inbox>,
}

impl Request {
    /// One request of each number at a time.
    pub fn start(
        client: &Client,
        number: u64,
        call: impl FnOnce(u64) -> Result<(), Error>,
    ) -> Result<Request, Error> {
        let inbox = Arc::default();
        match client.books()?.requests.entry(number) {
            Entry::Occupied(_) => return Err(Status::AlreadyHeld.into()),
            Entry::Vacant(place) => place.insert(Arc::clone(&inbox)),
        };
        let request = Request { client: client.clone(), number, inbox };
        call(number)?;
        Ok(request)
    }

    /// Nobody takes a term any more, and none is kept.
    pub fn forsake(&self) {
        let mut letters = guarded(&self.inbox.0);
        letters.forsaken = true;
        let terms: Vec<_> = letters.told.iter_mut().filter_map(|told| told.grant.take()).collect();
        drop(letters);
        terms.iter().for_each(|term| term.done(false));
    }

    /// In a child of fork nothing will be told.
    pub fn poll_next(&self, context: &mut Context<'_>) -> Poll<Result<Told, Error>> {
        if self.client.is_forked() {
            return Poll::Ready(Err(Status::Forked.into()));
        }
        let mut letters = guarded(&self.inbox.0);
        if let Some(told) = letters.told.pop_front() {
            return Poll::Ready(Ok(told));
        }
        letters.waker = Some(context.waker().clone());
        Poll::Pending
    }

    pub async fn next(&self) -> Result<Told, Error> {
        poll_fn(|context| self.poll_next(context)).await
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if let Ok(mut books) = self.client.books() {
            books.requests.remove(&self.number);
        }
    }
}
