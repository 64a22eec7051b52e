//! A call under way, and what is told of it.

use crate::client::Client;
use crate::error::{Error, Status};
use crate::grant::{Grant, Guard};
use crate::native::{status_text, Event};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A panic elsewhere leaves nothing half done behind these locks.
pub(crate) fn guarded<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An event, with the grant that it begins.
pub(crate) struct Told {
    pub event: Event,
    pub grant: Option<Arc<Grant>>,
}

impl Told {
    pub fn guard(self, in_background: bool) -> Result<Guard, Error> {
        self.event.result()?;
        self.grant
            .map(|grant| Guard::new(grant, in_background))
            .ok_or_else(|| Error::new(Status::Closed, status_text(Status::Closed as i32)))
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
pub(crate) struct Inbox {
    letters: Mutex<Letters>,
    changed: Condvar,
}

impl Inbox {
    pub fn push(&self, mut told: Told) {
        let mut letters = guarded(&self.letters);
        if letters.forsaken {
            told.grant = None;
        }
        letters.told.push_back(told);
        let waker = letters.waker.take();
        drop(letters);
        self.changed.notify_one();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn next(&self) -> Told {
        let mut letters = guarded(&self.letters);
        loop {
            if let Some(told) = letters.told.pop_front() {
                return told;
            }
            letters = self.changed.wait(letters).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn poll_next(&self, context: &mut Context<'_>) -> Poll<Told> {
        let mut letters = guarded(&self.letters);
        match letters.told.pop_front() {
            Some(told) => Poll::Ready(told),
            None => {
                letters.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Not told of any more when it is dropped.
pub(crate) struct Request {
    pub client: Client,
    pub number: u64,
    inbox: Arc<Inbox>,
}

impl Request {
    pub fn start(
        client: &Client,
        call: impl FnOnce(u64) -> Result<(), Error>,
    ) -> Result<Request, Error> {
        Request::numbered(client, client.number(), call)
    }

    /// One request of each number at a time.
    pub fn numbered(
        client: &Client,
        number: u64,
        call: impl FnOnce(u64) -> Result<(), Error>,
    ) -> Result<Request, Error> {
        let inbox = Arc::default();
        client.enter(number, &inbox)?;
        let client = client.clone();
        let request = Request { client, number, inbox };
        call(number)?;
        Ok(request)
    }

    /// Nobody takes a grant any more, and none is kept.
    pub fn forsake(&self) {
        let mut letters = guarded(&self.inbox.letters);
        letters.forsaken = true;
        let grants: Vec<_> = letters.told.iter_mut().map(|told| told.grant.take()).collect();
        drop(letters);
        drop(grants);
    }

    /// In a child of fork nothing will be told.
    fn forked(&self) -> Option<Told> {
        let status = Status::Forked as i32;
        self.client
            .is_forked()
            .then(|| Told { event: Event { status, ..Event::default() }, grant: None })
    }

    pub fn next(&self) -> Told {
        self.forked().unwrap_or_else(|| self.inbox.next())
    }

    pub fn poll_next(&self, context: &mut Context<'_>) -> Poll<Told> {
        match self.forked() {
            Some(told) => Poll::Ready(told),
            None => self.inbox.poll_next(context),
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.client.leave(self.number);
    }
}
