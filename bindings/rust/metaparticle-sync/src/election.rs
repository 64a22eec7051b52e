use crate::claimant::{Acquire, Canceller, Claimant, WAIT_AS_OPTION, WAIT_FOR_EVER};
use crate::client::{guarded, Client, Request};
use crate::error::{Error, Status};
use crate::grant::{Grant, Guard};
use crate::native::{self, Handle};
use crate::options::{milliseconds, Options};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{mpsc, Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Who leads, as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// The leader's identity.
    pub holder: String,
    /// What the leader tells its observers.
    pub value: Option<String>,
    /// The fencing token of its term.
    pub token: u64,
}

/// Stands for a name that at most one candidate leads at a time.
#[derive(Clone)]
pub struct Candidate {
    claimant: Arc<Claimant>,
}

impl Candidate {
    /// Make a candidate and check its arguments.
    pub fn open(name: impl AsRef<str>, options: &Options) -> Result<Candidate, Error> {
        let claimant = Claimant::open(name.as_ref(), options, Handle::election)?;
        Ok(Candidate {
            claimant: Arc::new(claimant),
        })
    }

    /// Stand, and wait until this candidate leads. The value is what observers see of it. The term
    /// is given back when its guard is dropped.
    pub fn campaign(&self, value: &str) -> Result<Guard, Error> {
        self.claimant.take(Some(value), WAIT_AS_OPTION)
    }

    /// Wait no longer than this.
    pub fn campaign_timeout(&self, value: &str, timeout: Duration) -> Result<Guard, Error> {
        self.claimant.take(Some(value), milliseconds(timeout))
    }

    /// Stand without blocking; needs no particular runtime.
    pub fn campaign_async(&self, value: &str) -> Acquire {
        self.claimant.take_async(Some(value), WAIT_AS_OPTION)
    }

    /// End the present term; [`Status::NotHeld`] without one.
    pub fn resign(&self) -> Result<(), Error> {
        self.claimant.release()
    }

    /// Whether this candidate leads now.
    pub fn is_leader(&self) -> bool {
        self.claimant.present().is_some()
    }

    /// Change what observers see of the present term.
    pub fn set_value(&self, value: &str) -> Result<(), Error> {
        let handle = &self.claimant.handle;
        handle
            .client
            .wait(|op| handle.set_value_start(op, value))
            .map(drop)
    }

    /// What ends the waiting of another thread.
    pub fn canceller(&self) -> Canceller {
        Canceller(Arc::clone(&self.claimant.handle))
    }

    /// Who leads now (`None`: nobody), and then each change, for as long as it is read.
    pub fn observe(&self) -> Result<Observer, Error> {
        Observer::start(&self.claimant)
    }

    /// Who leads now, or `None`.
    pub fn leader(&self) -> Result<Option<Leader>, Error> {
        let closed = || Error::new(Status::Closed, "the client is closed");
        self.observe()?.next().ok_or_else(closed)
    }
}

/// The changes of one name's leader, as an iterator that waits for the next.
pub struct Observer {
    client: Arc<Client>,
    number: u64,
    changes: mpsc::Receiver<Option<Leader>>,
}

impl Observer {
    fn start(claimant: &Claimant) -> Result<Observer, Error> {
        let client = Arc::clone(&claimant.handle.client);
        let (tell, changes) = mpsc::channel();
        let tell = Mutex::new(tell);
        let request = Request::watching(Box::new(move |event| {
            if event.kind == native::LEADER {
                // Nobody reads any more: the observation is about to end.
                let _ = guarded(&tell).send(event.holder.clone().map(|holder| Leader {
                    holder,
                    value: event.value.clone(),
                    token: event.token,
                }));
            }
        }));
        let number = client.start(&request, |op| {
            client.native.observe_start(op, &claimant.name)
        })?;
        Ok(Observer {
            client,
            number,
            changes,
        })
    }
}

impl Iterator for Observer {
    type Item = Option<Leader>;

    fn next(&mut self) -> Option<Option<Leader>> {
        self.changes.recv().ok()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.client.native.observe_stop(self.number);
    }
}

/// Which function [`Election::add_handler`] sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    /// Called when a term begins.
    Leader,
    /// Called when another leads, and when a term has ended.
    Follower,
}

type Function<'a> = Box<dyn FnMut() + Send + 'a>;

struct Running<'a> {
    claimant: Result<Arc<Claimant>, Error>,
    leader: Mutex<Option<Function<'a>>>,
    follower: Mutex<Option<Function<'a>>>,
    term: Mutex<Option<Arc<Grant>>>,
    running: AtomicBool,
    stopping: AtomicBool,
}

/// Runs functions when this candidate begins and ends to lead. Clones are the same election.
#[derive(Clone)]
pub struct Election<'a>(Arc<Running<'a>>);

const RETRY_PAUSE: Duration = Duration::from_secs(1);

impl<'a> Election<'a> {
    /// An election with a function for each side. What is wrong is told by [`Election::run`].
    pub fn new(
        name: impl AsRef<str>,
        uri: impl AsRef<str>,
        leader: Box<dyn FnMut() + Send + 'a>,
        follower: Box<dyn FnMut() + Send + 'a>,
    ) -> Election<'a> {
        let election = Election::open(name, &Options::new().url(uri.as_ref()));
        election.add_handler(Handler::Leader, leader);
        election.add_handler(Handler::Follower, follower);
        election
    }

    /// An election without functions yet; see [`Election::add_handler`].
    pub fn open(name: impl AsRef<str>, options: &Options) -> Election<'a> {
        let claimant = Claimant::open(name.as_ref(), options, Handle::election).map(Arc::new);
        Election(Arc::new(Running {
            claimant,
            leader: Mutex::default(),
            follower: Mutex::default(),
            term: Mutex::default(),
            running: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        }))
    }

    /// Set the function that is called for its side, instead of an earlier one.
    pub fn add_handler(&self, side: Handler, function: Box<dyn FnMut() + Send + 'a>) {
        let place = match side {
            Handler::Leader => &self.0.leader,
            Handler::Follower => &self.0.follower,
        };
        *guarded(place) = Some(function);
    }

    /// The first API: as [`Election::try_run`], whose error is told on standard error.
    pub fn run(&self) {
        if let Err(error) = self.try_run() {
            eprintln!("metaparticle-sync: {error}");
        }
    }

    /// Stand again and again until [`Election::shutdown`], or until the leader's function has
    /// returned while it leads: the term is given back then.
    ///
    /// The leader's function is called on this thread when a term begins. The follower's is called
    /// when another leads, and, on another thread, when a term has ended, for whatever reason: a
    /// leader's function that is still at work has to stop then. The next term begins when both have
    /// returned. A function that panics is reported, and the election goes on.
    pub fn try_run(&self) -> Result<(), Error> {
        let claimant = self.0.claimant.as_ref().map_err(Error::clone)?;
        if self.0.running.swap(true, Ordering::SeqCst) {
            return Err(Error::new(
                Status::AlreadyHeld,
                "the election is running already",
            ));
        }
        let mut following = false;
        let mut ended = Ok(());
        while ended.is_ok() && !self.0.stopping.load(Ordering::SeqCst) {
            ended = self.one_term(claimant, &mut following);
        }
        self.0.stopping.store(false, Ordering::SeqCst);
        self.0.running.store(false, Ordering::SeqCst);
        ended
    }

    fn one_term(&self, claimant: &Claimant, following: &mut bool) -> Result<(), Error> {
        let wait_ms = if *following { WAIT_FOR_EVER } else { 0 };
        match claimant.take(None, wait_ms) {
            Ok(guard) => {
                self.lead(&guard);
                *following = true;
                Ok(())
            }
            Err(error) if error.is_busy() => {
                *following = true;
                call(&self.0.follower);
                Ok(())
            }
            Err(error) if error.status() == Status::Cancelled => Ok(()),
            Err(error) if error.status() == Status::Unreachable => {
                eprintln!("metaparticle-sync: {error}");
                thread::sleep(RETRY_PAUSE);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn lead(&self, guard: &Guard) {
        *guarded(&self.0.term) = Some(Arc::clone(&guard.grant));
        if self.0.stopping.load(Ordering::SeqCst) {
            return;
        }
        thread::scope(|scope| {
            scope.spawn(|| {
                guard.grant.wait_until_over();
                call(&self.0.follower);
            });
            if call(&self.0.leader) && guard.is_held() {
                self.shutdown();
            }
        });
        *guarded(&self.0.term) = None;
    }

    /// End [`Election::run`]: a leader resigns, a candidate stands no more. Returns at once.
    pub fn shutdown(&self) {
        if !self.is_running() {
            return;
        }
        self.0.stopping.store(true, Ordering::SeqCst);
        if let Ok(claimant) = &self.0.claimant {
            claimant.handle.cancel();
        }
        if let Some(term) = guarded(&self.0.term).as_ref() {
            term.let_go();
        }
    }

    /// Whether [`Election::run`] is under way.
    pub fn is_running(&self) -> bool {
        self.0.running.load(Ordering::SeqCst)
    }
}

/// Whether there is one, and it returned: a panic's message was printed by its hook.
fn call(function: &Mutex<Option<Function<'_>>>) -> bool {
    guarded(function)
        .as_mut()
        .is_some_and(|function| catch_unwind(AssertUnwindSafe(function)).is_ok())
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
