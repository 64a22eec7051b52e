use crate::error::Error;
use crate::grant::Guard;
use crate::handle::{Canceller, Handle, Waiting, WAIT_AS_OPTION, WAIT_FOR_EVER};
use crate::log;
use crate::native;
use crate::options::{milliseconds, Options};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

const TRIES: i64 = 10;

/// One name that at most one holder has at a time. Clones are the same lock: one has or asks for
/// one grant at a time; open another for each thread that is to take its turn.
#[derive(Clone)]
pub struct Lock {
    handle: Result<Arc<Handle>, Error>,
    interval_ms: i64,
}

impl Lock {
    /// Open a lock: 1 to 1,024 bytes of name, compared by bytes.
    pub fn open(name: impl AsRef<str>, options: &Options) -> Result<Lock, Error> {
        let handle = Handle::open(name.as_ref(), options, native::Handle::lock)?;
        Ok(Lock { handle: Ok(handle), interval_ms: 10_000 })
    }

    /// A lock as earlier programs make it. The interval is how often they renewed, in seconds: the
    /// ttl is one and a half times as long. What is wrong is told by the first call.
    pub fn new<S: Into<String>>(name: S, base_uri: S, interval_s: u64) -> Lock {
        let interval = Duration::from_secs(interval_s.clamp(1, 40_000));
        let uri: String = base_uri.into();
        let options = Options::new().url(uri).ttl(interval * 3 / 2);
        let handle = Handle::open(&name.into(), &options, native::Handle::lock);
        Lock { handle, interval_ms: milliseconds(interval) }
    }

    fn handle(&self) -> Result<&Arc<Handle>, Error> {
        self.handle.as_ref().map_err(Error::clone)
    }

    /// Wait until it is held, as long as the option `wait` says; for ever by default.
    pub fn acquire(&self) -> Result<Guard, Error> {
        self.handle()?.take(None, WAIT_AS_OPTION)
    }

    /// Wait no longer than this.
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Guard, Error> {
        self.handle()?.take(None, milliseconds(timeout))
    }

    /// Do not wait. [`Error::is_busy`] tells that another holder has it.
    pub fn try_acquire(&self) -> Result<Guard, Error> {
        self.handle()?.take(None, 0)
    }

    /// Ask for it without blocking; needs no particular runtime.
    pub async fn acquire_async(&self) -> Result<Guard, Error> {
        self.handle()?.take_async(None, WAIT_AS_OPTION).await
    }

    /// What ends the waiting of another thread.
    pub fn canceller(&self) -> Result<Canceller, Error> {
        Ok(Canceller(Arc::clone(self.handle()?)))
    }

    /// Call this whenever a request learns whom it waits for, on a thread of this crate.
    pub fn on_waiting(&self, told: impl Fn(&Waiting) + Send + Sync + 'static) {
        if let Ok(handle) = &self.handle {
            handle.on_waiting(told);
        }
    }

    /// Wait until it is held, as long as the option `wait` says, and run the work under it. An error
    /// says that the work did not run, or, by [`Status::Lost`](crate::Status::Lost), that it was lost
    /// meanwhile.
    pub fn run<R>(&self, work: impl FnOnce() -> R) -> Result<R, Error> {
        self.run_within(WAIT_AS_OPTION, work)
    }

    fn run_within<R>(&self, wait_ms: i64, work: impl FnOnce() -> R) -> Result<R, Error> {
        let guard = self.handle()?.take(None, wait_ms)?;
        let result = work();
        guard.finish()?;
        Ok(result)
    }

    /// The first API: run the work under the lock, if it is free. What keeps it from that, and a
    /// loss, is told on standard error; [`Lock::run`] returns it.
    pub fn lock<R>(&self, work: impl FnOnce() -> R) {
        tell(self.run_within(0, work));
    }

    /// As [`Lock::lock`], waiting as long as ten tries in the lock's interval would take.
    pub fn lock_with_retry<R>(&self, work: impl FnOnce() -> R) {
        tell(self.run_within(TRIES * self.interval_ms, work));
    }

    /// As [`Lock::lock`], waiting for ever.
    pub fn lock_with_retry_forever<R>(&self, work: impl FnOnce() -> R) {
        tell(self.run_within(WAIT_FOR_EVER, work));
    }

    /// Release what this lock holds; [`Status::NotHeld`](crate::Status::NotHeld) without it.
    pub fn release(&self) -> Result<(), Error> {
        self.handle()?.release()
    }

    /// The first API: release what this lock holds, if it holds something.
    pub fn unlock(&self) {
        if self.is_locked() {
            tell(self.release());
        }
    }

    /// Whether this lock is held now.
    pub fn is_locked(&self) -> bool {
        self.handle.as_ref().is_ok_and(|handle| handle.is_held())
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.handle.as_ref().map(|handle| &handle.name);
        f.debug_struct("Lock").field("name", &name).field("is_locked", &self.is_locked()).finish()
    }
}

fn tell<R>(result: Result<R, Error>) {
    if let Err(error) = result {
        log::warn(&error.to_string());
    }
}

/// `lock!(name)` makes a [`Lock`] on the default URL; `lock!(name, work)` runs the work under it, if
/// it is free.
#[macro_export]
macro_rules! lock {
    ($name:expr) => {
        $crate::Lock::new($name, $crate::DEFAULT_BASE_URI, 10)
    };
    ($name:expr, $work:expr) => {
        $crate::lock!($name).lock($work)
    };
}
