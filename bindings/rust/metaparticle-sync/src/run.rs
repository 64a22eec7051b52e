//! A run of the C library: term after term, until it is stopped.

use crate::error::{Error, Status};
use crate::grant::{Grant, Term};
use crate::handle::Handle;
use crate::log;
use crate::native;
use crate::request::{block_on, guarded, Request};
use std::fmt::Display;
use std::future::{poll_fn, Future};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// What the work of a term may return: nothing, or a `Result`, whose error is told by a warning and
/// lets the candidate pause before it stands again.
pub trait Outcome {
    /// Why the work failed.
    fn failure(self) -> Option<String>;
}

impl Outcome for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<T, E: Display> Outcome for Result<T, E> {
    fn failure(self) -> Option<String> {
        self.err().map(|error| error.to_string())
    }
}

/// Stopped, and its term given back, when it is dropped.
pub(crate) struct Run {
    handle: Arc<Handle>,
    request: Option<Request>, // until it is over
    term: Option<Arc<Grant>>,
}

impl Run {
    pub async fn start(
        handle: &Arc<Handle>,
        value: Option<&str>,
        wait_ms: i64,
    ) -> Result<Run, Error> {
        poll_fn(|context| Run::poll_former(handle, context)).await;
        // The number of a run that has ended meanwhile is used up.
        let start = |number| match handle.run_number() == number {
            true => handle.native().run_start(number, value, wait_ms),
            false => Err(Status::AlreadyHeld.into()),
        };
        let request = Request::start(&handle.client, handle.run_number(), start)?;
        Ok(Run { handle: Arc::clone(handle), request: Some(request), term: None })
    }

    /// Ready when nothing is left of a run whose future was dropped.
    fn poll_former(handle: &Handle, context: &mut Context<'_>) -> Poll<()> {
        let waker = Waker::from(Arc::clone(&handle.waiters));
        let mut former = guarded(&handle.former);
        while let Some(request) = &*former {
            handle.waiters.join(context.waker());
            match request.poll_next(&mut Context::from_waker(&waker)) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(told)) if told.event.goes_on() => {}
                Poll::Ready(_) => *former = None,
            }
        }
        Poll::Ready(())
    }

    /// The next term; `None` when the run was stopped.
    pub async fn next(&mut self) -> Result<Option<Term>, Error> {
        let Some(request) = &self.request else {
            return Ok(None);
        };
        let told = request.next().await?;
        if told.event.kind() == native::TERM {
            self.term = told.grant;
            return Ok(self.term.clone().map(Term));
        }
        self.request = None;
        told.event.result().map(|()| None)
    }

    /// The work of the term has ended.
    pub fn done(&mut self, failure: Option<String>) {
        if let Some(message) = &failure {
            log::warn(&format!("\"{}\": the work of its term failed: {message}", self.handle.name));
        }
        if let Some(term) = self.term.take() {
            term.done(failure.is_some());
        }
    }

    pub fn lead<R: Outcome>(mut self, mut work: impl FnMut(&Term) -> R) -> Result<(), Error> {
        while let Some(term) = block_on(self.next())? {
            let outcome = catch_unwind(AssertUnwindSafe(|| work(&term)));
            self.done(failure(outcome));
        }
        Ok(())
    }

    pub async fn lead_async<F>(mut self, mut work: impl FnMut(Term) -> F) -> Result<(), Error>
    where
        F: Future,
        F::Output: Outcome,
    {
        while let Some(term) = self.next().await? {
            let mut work = pin!(async { work(term).await }); // it may panic before it is a future
            let outcome = poll_fn(|context| {
                match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
                    Ok(progress) => progress.map(Ok),
                    Err(panic) => Poll::Ready(Err(panic)),
                }
            });
            let outcome = outcome.await;
            self.done(failure(outcome));
        }
        Ok(())
    }
}

fn failure<R: Outcome>(outcome: std::thread::Result<R>) -> Option<String> {
    outcome.map_or_else(|_| Some("it panicked".to_owned()), Outcome::failure)
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(request) = self.request.take() {
            if self.handle.end_run(request.number) {
                self.handle.native().run_stop(request.number);
            }
            request.forsake();
            *guarded(&self.handle.former) = Some(request);
        }
        if let Some(term) = &self.term {
            term.done(false);
        }
    }
}
