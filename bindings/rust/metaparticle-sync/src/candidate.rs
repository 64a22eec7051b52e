use crate::error::{Error, Status};
use crate::grant::{Guard, Term};
use crate::handle::{Acquire, Canceller, Handle, Waiting, WAIT_AS_OPTION};
use crate::native;
use crate::observer::{Leader, Observer};
use crate::options::{milliseconds, Options};
use crate::request::block_on;
use crate::run::{Outcome, Run};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Stands for a name that at most one candidate leads at a time. Clones are the same candidate.
#[derive(Clone)]
pub struct Candidate {
    handle: Arc<Handle>,
}

impl Candidate {
    /// Make a candidate and check its arguments.
    pub fn open(name: impl AsRef<str>, options: &Options) -> Result<Candidate, Error> {
        let handle = Handle::open(name.as_ref(), options, native::Handle::election)?;
        Ok(Candidate { handle })
    }

    /// Stand, lead and stand again until [`Candidate::stop`]: the work runs on this thread once for
    /// each term, and the term is given back when the work has returned.
    ///
    /// [`Term::ending`] tells the work that it has to end. Meanwhile the term is renewed, and nobody
    /// else leads, unless it was lost, or as long as the option `drain` says. After work that failed,
    /// or panicked, it stands again after a pause. `stop` before `lead` ends it as it begins. The
    /// work may itself call `stop`, `resign` and [`Client::close`](crate::Client::close); one loop at
    /// a time: another is [`Status::AlreadyHeld`].
    ///
    /// ```
    /// use metaparticle_sync::{Candidate, Options};
    ///
    /// # fn main() -> Result<(), metaparticle_sync::Error> {
    /// let candidate = Candidate::open("mails", &Options::new().url("memory:lead"))?;
    /// let mut sent = 0;
    /// candidate.lead("node-1", |term| {
    ///     while !term.is_ending() {
    ///         sent += 1;
    ///         if sent == 3 {
    ///             candidate.stop(); // as another thread would
    ///             term.ending().wait();
    ///         }
    ///     }
    /// })?;
    /// assert_eq!(sent, 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn lead<R: Outcome>(&self, value: &str, work: impl FnMut(&Term) -> R) -> Result<(), Error> {
        block_on(self.run(value))?.lead(work)
    }

    /// As [`Candidate::lead`], for a task of whatever runtime. Dropping the future drops the work and
    /// gives the term back.
    pub async fn lead_async<F>(&self, value: &str, work: impl FnMut(Term) -> F) -> Result<(), Error>
    where
        F: Future,
        F::Output: Outcome,
    {
        self.run(value).await?.lead_async(work).await
    }

    async fn run(&self, value: &str) -> Result<Run, Error> {
        Run::start(&self.handle, Some(value), WAIT_AS_OPTION).await
    }

    /// End [`Candidate::lead`], or the next one as it begins. Returns at once: `lead` returns when
    /// the work has.
    pub fn stop(&self) {
        self.handle.native().run_stop(self.handle.run_number());
    }

    /// Stand for one term, and wait until this candidate leads. The value is what observers see of
    /// it. The term is given back when its guard is dropped.
    pub fn campaign(&self, value: &str) -> Result<Guard, Error> {
        self.handle.take(Some(value), WAIT_AS_OPTION)
    }

    /// Wait no longer than this.
    pub fn campaign_timeout(&self, value: &str, timeout: Duration) -> Result<Guard, Error> {
        self.handle.take(Some(value), milliseconds(timeout))
    }

    /// Stand without blocking; needs no particular runtime.
    pub fn campaign_async(&self, value: &str) -> Acquire {
        self.handle.take_async(Some(value), WAIT_AS_OPTION)
    }

    /// End the present term; [`Status::NotHeld`] without one. Of [`Candidate::lead`] it tells the
    /// work to end, and does not wait for that.
    pub fn resign(&self) -> Result<(), Error> {
        self.handle.release()
    }

    /// Whether this candidate leads now.
    pub fn is_leader(&self) -> bool {
        self.handle.is_held()
    }

    /// Change what observers see of the present term.
    pub fn set_value(&self, value: &str) -> Result<(), Error> {
        let native = self.handle.native();
        let set = |number| native.set_value_start(number, value);
        self.handle.client.wait(set).map(drop)
    }

    /// What ends the waiting of another thread.
    pub fn canceller(&self) -> Canceller {
        Canceller(Arc::clone(&self.handle))
    }

    /// Call this whenever a request learns whom it waits for, on a thread of this crate.
    pub fn on_waiting(&self, told: impl Fn(&Waiting) + Send + Sync + 'static) {
        self.handle.on_waiting(told);
    }

    /// Who leads now (`None`: nobody), and then each change, for as long as it is read.
    pub fn observe(&self) -> Result<Observer, Error> {
        Observer::start(&self.handle)
    }

    /// Who leads now, or `None`.
    pub fn leader(&self) -> Result<Option<Leader>, Error> {
        self.observe()?.next().ok_or_else(|| Status::Closed.into())
    }
}
