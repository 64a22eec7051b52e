//! A run of the C library: term after term, until it is stopped.

use crate::error::Error;
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
use std::task::{Context, Poll};

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
        let start = |number| handle.native().run_start(number, value, wait_ms);
        let request = Request::start(&handle.client, handle.run_number(), start)?;
        Ok(Run { handle: Arc::clone(handle), request: Some(request), term: None })
    }

    /// Ready when nothing is left of a run whose future was dropped.
    fn poll_former(handle: &Handle, context: &mut Context<'_>) -> Poll<()> {
        let mut former = guarded(&handle.former);
        while let Some(request) = &*former {
            match request.poll_next(context) {
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
            self.handle.native().term_done(term.number, failure.is_some());
            term.end_asked();
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
            let mut work = pin!(work(term));
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
        let native = self.handle.native();
        let number = self.handle.next_run();
        if let Some(request) = self.request.take() {
            native.run_stop(number);
            native.term_done(0, false);
            request.forsake();
            *guarded(&self.handle.former) = Some(request);
        }
        if let Some(term) = &self.term {
            term.end_asked();
        }
    }
}
