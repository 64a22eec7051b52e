//! One grant of a lock, or one term of a leader.

use crate::error::{Error, Reason, Status};
use crate::handle::Handle;
use crate::log;
use crate::native::Event;
use crate::request::{block_on, guarded, Request};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Why the work of a term has to end, and how long the right lasts meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Why.
    pub reason: Reason,
    /// `None`: the right is renewed until the work has ended. Zero: it is gone already.
    pub left: Option<Duration>,
}

#[derive(Default)]
struct Life {
    ending: Option<End>,
    lost: Option<Reason>,
    dropped: bool,
    over: bool,
    wakers: HashMap<usize, Waker>,
    moments: usize,
}

pub(crate) struct Grant {
    pub number: u64,
    handle: Arc<Handle>,
    token: u64,
    life: Mutex<Life>,
}

impl Grant {
    pub fn begin(handle: Arc<Handle>, event: &Event) -> Arc<Grant> {
        let (number, token, life) = (event.grant, event.token, Mutex::default());
        let grant = Arc::new(Grant { number, handle, token, life });
        if let Ok(mut books) = grant.handle.client.books() {
            books.grants.insert(number, Arc::downgrade(&grant));
        }
        if !grant.is_held() {
            grant.end_asked(); // its end may have been read before
        }
        grant.log(None);
        grant
    }

    pub fn is_held(&self) -> bool {
        self.handle.native().is_held(self.number)
    }

    fn log(&self, lost: Option<Reason>) {
        if cfg!(feature = "tracing") {
            let (name, token) = (self.handle.name.clone(), self.token);
            self.handle.client.tell(move || log::grant(&name, token, lost));
        }
    }

    pub fn told_to_end(&self, event: &Event) {
        let left = u64::try_from(event.left_ms).ok().map(Duration::from_millis);
        let reason = Reason::of(event.reason);
        match reason {
            Reason::Closed | Reason::Returned => self.end(0),
            _ if left == Some(Duration::ZERO) => self.end(event.reason),
            _ => self.change(|life| {
                life.ending.get_or_insert(End { reason, left });
            }),
        }
    }

    /// The work has ended by itself.
    pub fn end_work(&self) {
        let end = End { reason: Reason::Returned, left: None };
        self.change(|life| {
            life.ending.get_or_insert(end);
        });
    }

    /// The work of this term has ended.
    pub fn done(&self, failed: bool) {
        self.handle.native().term_done(self.number, failed);
        self.end_asked();
    }

    /// It was released, unless that came too late.
    pub fn end_asked(&self) {
        self.end(self.handle.native().lost_reason(self.number));
    }

    /// Ended: lost for this reason, or 0.
    pub fn end(&self, reason: i32) {
        let lost = (reason != 0).then(|| Reason::of(reason));
        let end = End { reason: lost.unwrap_or(Reason::Returned), left: Some(Duration::ZERO) };
        self.change(|life| {
            life.ending.get_or_insert(end);
            life.lost = life.lost.or(lost);
            if !std::mem::replace(&mut life.over, true) && lost.is_some() {
                self.log(lost);
            }
        });
    }

    fn change(&self, make: impl FnOnce(&mut Life)) {
        let mut life = guarded(&self.life);
        make(&mut life);
        let wakers = std::mem::take(&mut life.wakers);
        drop(life);
        wakers.into_values().for_each(Waker::wake);
    }

    fn loss(&self) -> Option<Error> {
        let life = guarded(&self.life);
        if life.dropped {
            return Some(Error::new(Status::NotHeld, self.said_of_drop()));
        }
        let known =
            life.lost.map_or_else(|| self.handle.native().lost_reason(self.number), |r| r as i32);
        let reason = (known != 0).then(|| Reason::of(known))?;
        let message = format!("\"{}\" was lost ({reason})", self.handle.name);
        Some(Error::new(Status::Lost, message))
    }

    fn said_of_drop(&self) -> String {
        let name = &self.handle.name;
        format!(
            "\"{name}\" was released, as its guard was dropped; keep the guard, or release() it"
        )
    }

    fn ending(&self) -> End {
        let gone = End { reason: Reason::Unknown, left: Some(Duration::ZERO) };
        guarded(&self.life).ending.unwrap_or(gone)
    }

    fn release(&self) -> Result<(), Error> {
        let native = self.handle.native();
        let released =
            self.handle.client.wait(|request| native.release_start(request, self.number));
        self.end_asked();
        released.map(drop)
    }

    /// Release without waiting; a grant that has ended already is none of our business.
    fn let_go(&self) {
        let _ = self.handle.native().release_start(0, self.number);
        self.end_asked();
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if let Ok(mut books) = self.handle.client.books() {
            books.grants.remove(&self.number);
        }
    }
}

/// One grant of a lock, or one term of a leader, as [`Candidate::lead`](crate::Candidate::lead)
/// gives it to the work, and as a [`Guard`] has it. It keeps nothing held.
#[derive(Clone)]
pub struct Term(pub(crate) Arc<Grant>);

impl Term {
    /// Whether this very grant is held now. Compares with the clock, so it is right after any pause.
    #[inline]
    pub fn is_held(&self) -> bool {
        self.0.is_held()
    }

    /// How long the right lasts unless it is renewed; zero when it is not held.
    pub fn remaining(&self) -> Duration {
        Duration::from_millis(self.0.handle.native().remaining_ms(self.0.number))
    }

    /// The fencing token, greater than that of every earlier grant of the name.
    pub fn token(&self) -> u64 {
        self.0.token
    }

    /// The loss of this grant: a future, and something for a thread to wait for.
    pub fn lost(&self) -> Lost {
        Moment::new(&self.0, |life| life.over, Grant::loss)
    }

    /// An error with [`Status::Lost`] once it was lost.
    pub fn check(&self) -> Result<(), Error> {
        self.0.loss().map_or(Ok(()), Err)
    }

    /// Whether its work has to end, or it has ended.
    pub fn is_ending(&self) -> bool {
        guarded(&self.0.life).ending.is_some()
    }

    /// That its work has to end: a future, and something for a thread to wait for.
    pub fn ending(&self) -> Ending {
        Moment::new(&self.0, |life| life.ending.is_some(), Grant::ending)
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Term")
            .field("name", &self.0.handle.name)
            .field("token", &self.0.token)
            .field("is_held", &self.is_held())
            .finish()
    }
}

/// A lock that is held, or a term that is led, until this is dropped.
///
/// Dropping it waits until the store knows of the release, or the right has run out; a guard that
/// an asynchronous call gave does not wait, so that no executor's thread stands still. A guard that
/// is dropped while its [`Lost`] or [`Term`] is still in use is told of by these, and with a warning,
/// for whoever has them may believe that it holds.
#[must_use = "the lock is released when its guard is dropped"]
#[derive(Debug)]
pub struct Guard {
    term: Term,
    in_background: bool,
}

impl Guard {
    pub(crate) fn new(grant: Arc<Grant>, in_background: bool) -> Guard {
        let term = Term(grant);
        Guard { term, in_background }
    }

    /// Release it and wait until the store knows. `Status::NotHeld`: it had ended before.
    pub fn release(self) -> Result<(), Error> {
        self.term.0.release()
    }

    /// Release it at the end of the work; an error says that it was lost, or its client closed, before.
    pub(crate) fn finish(self) -> Result<(), Error> {
        self.check()?;
        match self.term.0.release() {
            Err(error) if matches!(error.status(), Status::NotHeld | Status::Closed) => {
                self.check()?;
                if self.term.0.handle.client.is_closed() {
                    return Err(Status::Closed.into());
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// As [`Guard::release`], without blocking.
    pub async fn release_async(self) -> Result<(), Error> {
        let grant = Arc::clone(&self.term.0);
        let start = |request| grant.handle.native().release_start(request, grant.number);
        let client = &grant.handle.client;
        let released = match Request::start(client, client.number(), start) {
            Ok(request) => request.next().await.and_then(|told| told.event.result()),
            Err(error) => Err(error),
        };
        grant.end_asked();
        released
    }
}

impl Deref for Guard {
    type Target = Term;

    #[inline]
    fn deref(&self) -> &Term {
        &self.term
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let grant = &self.term.0;
        if grant.handle.client.is_forked() {
            return;
        }
        let held = grant.is_held();
        if held {
            grant.change(|life| life.dropped = true);
        }
        if held && Arc::strong_count(grant) > 1 && !std::thread::panicking() {
            log::warn(&grant.said_of_drop());
        }
        if held && !self.in_background {
            let _ = grant.release();
        } else {
            grant.let_go();
        }
    }
}

/// Something that happens to a grant: a future, and for a thread to [`Moment::wait`] for. It has one
/// waker, and none when it is dropped.
pub struct Moment<T> {
    grant: Arc<Grant>,
    number: usize,
    has_come: fn(&Life) -> bool,
    what: fn(&Grant) -> T,
}

/// The end of a grant: `None` when it was released, else why it was lost, or, with
/// [`Status::NotHeld`], that its guard was dropped.
pub type Lost = Moment<Option<Error>>;

/// That the work of a term has to end.
pub type Ending = Moment<End>;

impl<T> Moment<T> {
    fn new(grant: &Arc<Grant>, has_come: fn(&Life) -> bool, what: fn(&Grant) -> T) -> Moment<T> {
        let mut life = guarded(&grant.life);
        life.moments += 1;
        Moment { grant: Arc::clone(grant), number: life.moments, has_come, what }
    }

    /// Block until it happens.
    pub fn wait(&self) -> T {
        block_on(Moment::new(&self.grant, self.has_come, self.what))
    }
}

impl<T> Future for Moment<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // In a child of fork nothing is held, and nobody would tell.
        if !self.grant.handle.client.is_forked() {
            let mut life = guarded(&self.grant.life);
            if !(self.has_come)(&life) {
                life.wakers.insert(self.number, context.waker().clone());
                return Poll::Pending;
            }
        }
        Poll::Ready((self.what)(&self.grant))
    }
}

impl<T> Drop for Moment<T> {
    fn drop(&mut self) {
        guarded(&self.grant.life).wakers.remove(&self.number);
    }
}
