//! Elections of the first API.

use crate::error::{Error, Status};
use crate::grant::Term;
use crate::handle::{Handle, WAIT_FOR_EVER};
use crate::log;
use crate::native;
use crate::options::Options;
use crate::request::{block_on, guarded};
use crate::run::Run;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

/// Which function [`Election::add_handler`] sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    /// Called when a term begins.
    Leader,
    /// Called when another leads, and when a term has to end or has ended.
    Follower,
}

type Function<'a> = Box<dyn FnMut() + Send + 'a>;

#[derive(Default)]
struct State {
    running: bool,
    /// Who called `shutdown` since the last run.
    stopped_by: Option<ThreadId>,
}

struct Inner<'a> {
    handle: Result<Arc<Handle>, Error>,
    leader: Mutex<Option<Function<'a>>>,
    follower: Mutex<Option<Function<'a>>>,
    state: Mutex<State>,
}

/// Runs functions when this candidate begins and ends to lead. Clones are the same election. New
/// programs use [`Candidate::lead`](crate::Candidate::lead).
#[derive(Clone)]
pub struct Election<'a>(Arc<Inner<'a>>);

impl<'a> Election<'a> {
    /// An election with a function for each side. What is wrong is told by [`Election::run`].
    pub fn new<S: Into<String>>(
        name: S,
        uri: S,
        leader: Box<dyn FnMut() + Send + 'a>,
        follower: Box<dyn FnMut() + Send + 'a>,
    ) -> Election<'a> {
        let uri: String = uri.into();
        let mut election = Election::open(name.into(), &Options::new().url(uri));
        election.add_handler(Handler::Leader, leader);
        election.add_handler(Handler::Follower, follower);
        election
    }

    /// An election without functions yet; see [`Election::add_handler`].
    pub fn open(name: impl AsRef<str>, options: &Options) -> Election<'a> {
        Election(Arc::new(Inner {
            handle: Handle::open(name.as_ref(), options, native::Handle::election),
            leader: Mutex::default(),
            follower: Mutex::default(),
            state: Mutex::default(),
        }))
    }

    /// Set the function that is called for its side, instead of an earlier one, for all clones; also
    /// from within one.
    pub fn add_handler(&mut self, side: Handler, function: Box<dyn FnMut() + Send + 'a>) {
        let place = match side {
            Handler::Leader => &self.0.leader,
            Handler::Follower => &self.0.follower,
        };
        *guarded(place) = Some(function);
    }

    /// The first API: as [`Election::try_run`], whose error is told on standard error.
    pub fn run(&self) {
        if let Err(error) = self.try_run() {
            log::warn(&error.to_string());
        }
    }

    /// Stand again and again until [`Election::shutdown`], or until the leader's function has
    /// returned while it leads: the term is given back then.
    ///
    /// The leader's function is called on this thread when a term begins. The follower's is called
    /// when another leads, and, on another thread, once for each term, when that has to end or has
    /// ended, for whatever reason: a leader's function that is still at work has to stop then. Until
    /// both have returned the term is renewed, unless it was lost, and it does not stand again. A
    /// function that panics is reported, and the election goes on.
    pub fn try_run(&self) -> Result<(), Error> {
        let handle = self.0.handle.as_ref().map_err(Error::clone)?;
        let mut state = guarded(&self.0.state);
        if std::mem::replace(&mut state.running, true) {
            return Err(Error::new(Status::AlreadyHeld, "the election is running already"));
        }
        // One thread knows the order of its calls: its earlier shutdown() was of an earlier run.
        let stopped = state.stopped_by.take();
        drop(state);
        if stopped.is_some_and(|by| by != thread::current().id()) {
            self.shutdown();
        }
        let ended = self.run_terms(handle);
        *guarded(&self.0.state) = State::default();
        ended
    }

    /// Tries first, so that a follower's function runs while it does not stand.
    fn run_terms(&self, handle: &Arc<Handle>) -> Result<(), Error> {
        match self.run_once(handle, 0) {
            Err(error) if error.is_busy() => drop(call(&self.0.follower)),
            Err(error) if error.status() == Status::Unreachable => {}
            ended => return ended,
        }
        // It may have been of the first run; from now on it is of the second, which ends as it begins.
        if guarded(&self.0.state).stopped_by.is_some() {
            self.shutdown();
        }
        self.run_once(handle, WAIT_FOR_EVER)
    }

    fn run_once(&self, handle: &Arc<Handle>, wait_ms: i64) -> Result<(), Error> {
        let mut run = block_on(Run::start(handle, None, wait_ms))?;
        while let Some(term) = block_on(run.next())? {
            let failed = !self.lead(&term);
            run.done(failed.then(|| "it panicked".to_owned()));
        }
        Ok(())
    }

    /// Whether the leader's function returned.
    fn lead(&self, term: &Term) -> bool {
        thread::scope(|scope| {
            scope.spawn(|| {
                term.ending().wait();
                call(&self.0.follower);
            });
            let returned = call(&self.0.leader);
            match returned {
                None => drop(term.ending().wait()),
                Some(true) if term.is_held() && !term.is_ending() => self.shutdown(),
                Some(_) => {}
            }
            term.0.end_work();
            returned != Some(false)
        })
    }

    /// End [`Election::run`]: what leads is told by its follower's function, and keeps its term until
    /// both functions have returned; a candidate stands no more. Returns at once. Before `run`, it
    /// ends the `run` of another thread as that begins, and is of no effect in the same thread.
    pub fn shutdown(&self) {
        let mut state = guarded(&self.0.state);
        state.stopped_by = Some(thread::current().id());
        if let (true, Ok(handle)) = (state.running, &self.0.handle) {
            handle.native().run_stop(handle.run_number());
        }
    }

    /// Whether [`Election::run`] is under way.
    pub fn is_running(&self) -> bool {
        guarded(&self.0.state).running
    }
}

/// Whether it returned, if there is one: a panic's message was printed by its hook. Meanwhile it may
/// be replaced.
fn call(place: &Mutex<Option<Function<'_>>>) -> Option<bool> {
    let mut function = guarded(place).take()?;
    let returned = catch_unwind(AssertUnwindSafe(&mut function)).is_ok();
    guarded(place).get_or_insert(function);
    Some(returned)
}

/// `elect!(name)` makes an [`Election`] on the default URL, for [`Election::add_handler`];
/// `elect!(name, leader, follower)` one with a closure for each side.
#[macro_export]
macro_rules! elect {
    ($name:expr) => {
        $crate::Election::open($name, &$crate::Options::new())
    };
    ($name:expr, $leader:expr, $follower:expr) => {
        $crate::Election::new(
            $name,
            $crate::DEFAULT_BASE_URI,
            Box::new($leader),
            Box::new($follower),
        )
    };
}
