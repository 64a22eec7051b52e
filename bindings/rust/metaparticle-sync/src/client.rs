//! The process's connection to each URL, and the thread that hands out its events.

use crate::error::Error;
use crate::grant::Grant;
use crate::native::{self, Event};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::thread;

/// Where the elector next to this program listens; as a URL it means the default.
pub const DEFAULT_BASE_URI: &str = "http://localhost:13131";

/// A panic elsewhere leaves nothing half done behind these locks.
pub(crate) fn guarded<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Watch = Box<dyn Fn(&Event) + Send + Sync>;
type Begin = Box<dyn Fn(&Event) -> Arc<Grant> + Send + Sync>;

#[derive(Default)]
struct Progress {
    end: Option<Event>,
    grant: Option<Arc<Grant>>,
    waker: Option<Waker>,
    abandoned: bool,
}

/// A call under way, for a task to wait for; a thread waits by `Client::wait`.
#[derive(Default)]
pub(crate) struct Request {
    progress: Mutex<Progress>,
    begin: Option<Begin>,
    watch: Option<Watch>,
}

/// What a request came to.
pub(crate) type Outcome = Result<Option<Arc<Grant>>, Error>;

impl Request {
    /// A request that ends with a grant, which `begin` makes on the client's thread.
    pub fn for_grant(begin: Begin) -> Arc<Request> {
        Arc::new(Request {
            begin: Some(begin),
            ..Request::default()
        })
    }

    /// A request that is told of changes until it ends.
    pub fn watching(watch: Watch) -> Arc<Request> {
        Arc::new(Request {
            watch: Some(watch),
            ..Request::default()
        })
    }

    fn finish(&self, event: Event) {
        let grant = match (&self.begin, event.kind) {
            (Some(begin), native::HELD) => Some(begin(&event)),
            _ => None,
        };
        let mut progress = guarded(&self.progress);
        if progress.abandoned {
            drop(progress);
            if let Some(grant) = grant {
                grant.let_go();
            }
            return;
        }
        progress.grant = grant;
        progress.end = Some(event);
        let waker = progress.waker.take();
        drop(progress);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn outcome(progress: &mut Progress) -> Option<Outcome> {
        let end = progress.end.as_ref()?;
        Some(end.result().map(|()| progress.grant.take()))
    }

    pub fn poll(&self, context: &mut Context<'_>) -> Poll<Outcome> {
        let mut progress = guarded(&self.progress);
        match Request::outcome(&mut progress) {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                progress.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Nobody waits any more: a grant that comes, or that nobody took, is let go.
    pub fn abandon(&self) {
        let mut progress = guarded(&self.progress);
        progress.abandoned = true;
        let grant = progress.grant.take();
        drop(progress);
        if let Some(grant) = grant {
            grant.let_go();
        }
    }
}

/// A request as a future.
pub(crate) struct Ending(Arc<Request>);

impl Future for Ending {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        self.0.poll(context)
    }
}

#[derive(Default)]
struct State {
    requests: HashMap<u64, Arc<Request>>,
    grants: HashMap<u64, Weak<Grant>>,
}

/// A connection to one URL.
pub(crate) struct Client {
    pub native: native::Client,
    numbers: AtomicU64,
    state: Mutex<State>,
}

// One connection for each URL, for the life of the process: it has a thread of its own.
static CLIENTS: Mutex<Vec<(Option<String>, Arc<Client>)>> = Mutex::new(Vec::new());

impl Client {
    pub fn of(url: Option<&str>) -> Result<Arc<Client>, Error> {
        let url = url.filter(|url| *url != DEFAULT_BASE_URI);
        let mut clients = guarded(&CLIENTS);
        if let Some((_, client)) = clients.iter().find(|(known, _)| known.as_deref() == url) {
            return Ok(Arc::clone(client));
        }
        let client = Client::open(url)?;
        clients.push((url.map(str::to_owned), Arc::clone(&client)));
        Ok(client)
    }

    fn open(url: Option<&str>) -> Result<Arc<Client>, Error> {
        let client = Arc::new(Client {
            native: native::Client::open(url)?,
            numbers: AtomicU64::new(1),
            state: Mutex::default(),
        });
        let own = Arc::clone(&client);
        let thread = thread::Builder::new().name("metaparticle-sync".into());
        thread
            .spawn(move || own.pump())
            .expect("a thread for the client's events");
        Ok(client)
    }

    /// Give the request a number and make the call with it.
    pub fn start(
        &self,
        request: &Arc<Request>,
        call: impl FnOnce(u64) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let op = self.numbers.fetch_add(1, Ordering::Relaxed);
        guarded(&self.state)
            .requests
            .insert(op, Arc::clone(request));
        match call(op) {
            Ok(()) => Ok(op),
            Err(error) => {
                guarded(&self.state).requests.remove(&op);
                Err(error)
            }
        }
    }

    /// Start a call that ends soon.
    pub fn ask(&self, call: impl FnOnce(u64) -> Result<(), Error>) -> Result<Ending, Error> {
        let request = Arc::new(Request::default());
        self.start(&request, call)?;
        Ok(Ending(request))
    }

    /// Make a call that ends soon, or not, and block in the C library until its end, which saves
    /// the hop over the client's thread.
    pub fn wait(&self, call: impl FnOnce(u64) -> Result<(), Error>) -> Result<Event, Error> {
        let op = self.numbers.fetch_add(1, Ordering::Relaxed) | native::AWAITED;
        call(op)?;
        loop {
            match self.native.wait_for(op) {
                Some(event) if !event.goes_on() => {
                    event.result()?;
                    return Ok(event);
                }
                _ => {}
            }
        }
    }

    /// The latest grant of a lock, which is told of its loss.
    pub fn remember(&self, lock: u64, grant: &Arc<Grant>) {
        guarded(&self.state)
            .grants
            .insert(lock, Arc::downgrade(grant));
    }

    pub fn forget(&self, lock: u64) {
        guarded(&self.state).grants.remove(&lock);
    }

    fn lose(&self, event: &Event) {
        let grant = guarded(&self.state).grants.get(&event.lock).cloned();
        if let Some(grant) = grant.and_then(|grant| grant.upgrade()) {
            grant.lose(event);
        }
    }

    fn pump(&self) {
        loop {
            if let Some(event) = self.native.next_event() {
                self.dispatch(event);
            }
        }
    }

    fn dispatch(&self, event: Event) {
        if event.kind == native::LOST {
            self.lose(&event);
            return;
        }
        let going_on = event.goes_on();
        let mut state = guarded(&self.state);
        let request = if going_on {
            state.requests.get(&event.op).cloned()
        } else {
            state.requests.remove(&event.op)
        };
        drop(state);
        match request {
            Some(request) if going_on => {
                if let Some(watch) = &request.watch {
                    watch(&event);
                }
            }
            Some(request) => request.finish(event),
            None => {}
        }
    }
}
