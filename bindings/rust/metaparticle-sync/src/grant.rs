//! One grant of a lock, or one term of a leader.

use crate::client::guarded;
use crate::error::{Error, Status};
use crate::handle::Handle;
use crate::native::{reason_text, Event};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

#[derive(Default)]
struct Loss {
    reason: Option<String>,
    over: bool,
    wakers: Vec<Waker>,
}

pub(crate) struct Grant {
    pub handle: Arc<Handle>,
    pub name: Arc<str>,
    pub number: u64,
    pub token: u64,
    loss: Mutex<Loss>,
    changed: Condvar,
}

impl Grant {
    pub fn new(handle: &Arc<Handle>, name: &Arc<str>, number: u64, token: u64) -> Arc<Grant> {
        let grant = Arc::new(Grant {
            handle: Arc::clone(handle),
            name: Arc::clone(name),
            number,
            token,
            loss: Mutex::default(),
            changed: Condvar::new(),
        });
        handle.client.remember(handle.id(), &grant);
        if let Some(reason) = grant.lost_reason() {
            grant.end(Some(reason)); // its event may have been read before
        }
        grant
    }

    pub fn is_held(&self) -> bool {
        self.handle.is_held(self.number)
    }

    /// Called by the client's thread: this grant, or an earlier one, has ended unasked.
    pub fn lose(&self, event: &Event) {
        if event.grant == self.number {
            self.end(Some(reason_text(event.reason)));
        }
    }

    fn lost_reason(&self) -> Option<String> {
        match self.handle.lost_reason(self.number) {
            0 => None,
            reason => Some(reason_text(reason)),
        }
    }

    /// It was released, unless that came too late.
    fn end_asked(&self) {
        self.end(self.lost_reason());
    }

    fn end(&self, reason: Option<String>) {
        let mut loss = guarded(&self.loss);
        loss.over = true;
        if loss.reason.is_none() {
            loss.reason = reason;
        }
        let wakers = std::mem::take(&mut loss.wakers);
        drop(loss);
        self.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    pub fn lost(&self) -> Option<Error> {
        let reason = guarded(&self.loss).reason.clone()?;
        Some(Error::new(
            Status::Lost,
            format!("\"{}\" was lost ({reason})", self.name),
        ))
    }

    /// Wait until it has ended, for whatever reason.
    pub fn wait_until_over(&self) {
        let mut loss = guarded(&self.loss);
        while !loss.over {
            loss = self
                .changed
                .wait(loss)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Release without waiting; a grant that has ended already is none of our business.
    pub fn let_go(&self) {
        let _ = self.handle.release_start(0, self.number);
        self.end_asked();
    }

    pub fn release(&self) -> Result<(), Error> {
        let released = self
            .handle
            .client
            .wait(|op| self.handle.release_start(op, self.number));
        self.end_asked();
        released.map(drop)
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        let _ = self.handle.release_start(0, self.number);
    }
}

/// A lock that is held, or a term that is led, until this is dropped.
///
/// Dropping it waits until the store knows of the release, or the right has run out; a guard that
/// an asynchronous call gave does not wait, so that no executor's thread stands still.
#[must_use = "the lock is released when its guard is dropped"]
pub struct Guard {
    pub(crate) grant: Arc<Grant>,
    pub(crate) in_background: bool,
}

impl Guard {
    /// Whether this very grant is held now. Compares with the clock, so it is right after any pause.
    #[inline]
    pub fn is_held(&self) -> bool {
        self.grant.is_held()
    }

    /// How long the right lasts unless it is renewed; zero when it is not held.
    pub fn remaining(&self) -> Duration {
        Duration::from_millis(self.grant.handle.remaining_ms(self.grant.number))
    }

    /// The fencing token, greater than that of every earlier grant of the name.
    pub fn token(&self) -> u64 {
        self.grant.token
    }

    /// The loss of this grant: a future, and something for a thread to wait for.
    pub fn lost(&self) -> Lost {
        Lost {
            grant: Arc::clone(&self.grant),
        }
    }

    /// An error with [`Status::Lost`] once it was lost.
    pub fn check(&self) -> Result<(), Error> {
        self.grant.lost().map_or(Ok(()), Err)
    }

    /// Release it and wait until the store knows. `Status::NotHeld`: it had ended before.
    pub fn release(self) -> Result<(), Error> {
        self.grant.release()
    }

    /// Release it at the end of the work; an error says that it was lost before.
    pub(crate) fn finish(self) -> Result<(), Error> {
        self.check()?;
        match self.grant.release() {
            Err(error) if error.status() == Status::NotHeld => self.check(),
            _ => Ok(()),
        }
    }

    /// As [`Guard::release`], without blocking.
    pub async fn release_async(self) -> Result<(), Error> {
        let grant = Arc::clone(&self.grant);
        let ending = grant
            .handle
            .client
            .ask(|op| grant.handle.release_start(op, grant.number));
        let released = match ending {
            Ok(ending) => ending.await.map(drop),
            Err(error) => Err(error),
        };
        grant.end_asked();
        released
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.in_background {
            self.grant.let_go();
        } else if self.grant.is_held() {
            let _ = self.grant.release();
        } else {
            self.grant.let_go();
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("name", &self.grant.name)
            .field("token", &self.grant.token)
            .field("is_held", &self.is_held())
            .finish()
    }
}

/// The end of a grant. The future is ready, and `wait` returns, when it was lost or released:
/// `Some` error says that it was lost, and why.
pub struct Lost {
    grant: Arc<Grant>,
}

impl Lost {
    /// Wait for the end.
    pub fn wait(&self) -> Option<Error> {
        self.grant.wait_until_over();
        self.grant.lost()
    }
}

impl Future for Lost {
    type Output = Option<Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Error>> {
        let mut loss = guarded(&self.grant.loss);
        if !loss.over {
            loss.wakers.push(context.waker().clone());
            return Poll::Pending;
        }
        drop(loss);
        Poll::Ready(self.grant.lost())
    }
}
