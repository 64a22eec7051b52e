use crate::error::{Error, Status};
use crate::grant::Grant;
use crate::handle::Handle;
use crate::log;
use crate::native::{self, status_text, Event};
use crate::request::{guarded, Inbox, Told};
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{mpsc, Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;

/// Where the elector next to this program listens; as a URL it means the default.
pub const DEFAULT_BASE_URI: &str = "http://localhost:13131";

/// The request by which a client closes.
const CLOSING: u64 = 1;

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
pub(crate) struct Books {
    pub requests: HashMap<u64, Arc<Inbox>>,
    pub handles: HashMap<u64, Weak<Handle>>,
    pub grants: HashMap<u64, Weak<Grant>>,
}

/// What the client's thread shares with those who use the client.
struct Connection {
    native: native::Client,
    process: u32,
    numbers: AtomicU64,
    closing: AtomicBool,
    closed: Mutex<bool>,
    told_closed: Condvar,
    books: Mutex<Books>,
    teller: Mutex<Option<mpsc::Sender<Job>>>,
}

/// Closes, without waiting for it, when the last of its users is gone.
struct Owner(Arc<Connection>);

impl Deref for Owner {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.close_start();
    }
}

/// A connection to one store, with a thread of its own. It is shared by its clones and by all that
/// was opened with it, and closes when the last of them is dropped.
///
/// Only who wants to close it before needs one: what is opened without, shares one for each URL.
#[derive(Clone)]
pub struct Client(Arc<Owner>);

/// The clients of one process that are shared by URL. A child of fork has its own.
struct Process {
    id: u32,
    clients: Mutex<HashMap<Option<String>, Weak<Owner>>>,
    child: OnceLock<Box<Process>>,
}

static PROCESS: OnceLock<Process> = OnceLock::new();

impl Process {
    fn new() -> Process {
        let (clients, child) = (Mutex::default(), OnceLock::new());
        Process { id: process::id(), clients, child }
    }

    fn present() -> &'static Process {
        let mut present = PROCESS.get_or_init(Process::new);
        while present.id != process::id() {
            present = present.child.get_or_init(|| Box::new(Process::new()));
        }
        present
    }
}

impl Client {
    /// Open a client of one's own; see [`Options::url`](crate::Options::url).
    pub fn open(url: &str) -> Result<Client, Error> {
        Client::connect(Some(url).filter(|url| *url != DEFAULT_BASE_URI))
    }

    /// Release all that is held through it, and wait for that, no longer than the rights last. Work
    /// under its locks is not waited for. What is asked of it from now on fails with
    /// [`Status::Closed`]. It may be called again, from wherever: all calls wait for the same end.
    pub fn close(&self) {
        if self.is_forked() {
            return;
        }
        self.0.close_start();
        let mut closed = guarded(&self.0.closed);
        while !*closed {
            closed = self.0.told_closed.wait(closed).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The one of this URL that is in use, or a new one.
    pub(crate) fn shared(url: Option<&str>) -> Result<Client, Error> {
        let url = url.filter(|url| *url != DEFAULT_BASE_URI);
        let mut clients = guarded(&Process::present().clients);
        let known = clients.get(&url.map(str::to_owned)).and_then(Weak::upgrade);
        if let Some(owner) = known {
            return Ok(Client(owner));
        }
        let client = Client::connect(url)?;
        clients.retain(|_, owner| owner.strong_count() > 0);
        clients.insert(url.map(str::to_owned), Arc::downgrade(&client.0));
        Ok(client)
    }

    fn connect(url: Option<&str>) -> Result<Client, Error> {
        let connection = Arc::new(Connection {
            native: native::Client::open(url)?,
            process: process::id(),
            numbers: AtomicU64::new(CLOSING + 1),
            closing: AtomicBool::new(false),
            closed: Mutex::new(false),
            told_closed: Condvar::new(),
            books: Mutex::default(),
            teller: Mutex::default(),
        });
        let own = Arc::clone(&connection);
        let thread = thread::Builder::new().name("metaparticle-sync".into());
        let started = thread.spawn(move || own.pump());
        started.map_err(|error| Error::new(Status::Internal, error.to_string()))?;
        Ok(Client(Arc::new(Owner(connection))))
    }

    pub(crate) fn native(&self) -> &native::Client {
        &self.0.native
    }

    pub(crate) fn is_forked(&self) -> bool {
        self.0.is_forked()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.closing.load(Ordering::SeqCst)
    }

    pub(crate) fn books(&self) -> Result<MutexGuard<'_, Books>, Error> {
        self.0.books()
    }

    /// A number for a request.
    pub(crate) fn number(&self) -> u64 {
        self.0.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// The grant of this number, if somebody has it still.
    pub(crate) fn grant(&self, number: u64) -> Option<Arc<Grant>> {
        self.0.grant(number)
    }

    /// Make a call, and block in the C library until its end, which saves the hop over the client's
    /// thread.
    pub(crate) fn wait(&self, call: impl FnOnce(u64) -> Result<(), Error>) -> Result<Told, Error> {
        let number = self.number() | native::AWAITED;
        call(number)?;
        loop {
            if let Some(event) = self.native().wait_for(number) {
                let grant = self.0.hear(&event);
                if !event.goes_on() {
                    event.result()?;
                    return Ok(Told { event, grant });
                }
            }
        }
    }

    /// Run what is the program's on a thread beside the one that reads events.
    pub(crate) fn tell(&self, job: impl FnOnce() + Send + 'static) {
        self.0.tell(Box::new(job));
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Connection {
    fn is_forked(&self) -> bool {
        self.process != process::id()
    }

    /// In a child of fork another thread may have been in there, and never come out.
    fn books(&self) -> Result<MutexGuard<'_, Books>, Error> {
        if self.is_forked() {
            return Err(Status::Forked.into());
        }
        Ok(guarded(&self.books))
    }

    fn close_start(&self) {
        if !self.closing.swap(true, Ordering::SeqCst) && !self.native.close_start(CLOSING) {
            self.end(); // the end of the process has closed it
        }
    }

    fn end(&self) {
        *guarded(&self.closed) = true;
        self.told_closed.notify_all();
    }

    fn grant(&self, number: u64) -> Option<Arc<Grant>> {
        self.books().ok()?.grants.get(&number)?.upgrade()
    }

    fn handle(&self, id: u64) -> Option<Arc<Handle>> {
        self.books().ok()?.handles.get(&id)?.upgrade()
    }

    fn tell(&self, job: Job) {
        let mut teller = guarded(&self.teller);
        let jobs = teller.get_or_insert_with(|| {
            let (jobs, told) = mpsc::channel::<Job>();
            let run =
                move || told.into_iter().for_each(|job| drop(catch_unwind(AssertUnwindSafe(job))));
            let thread = thread::Builder::new().name("metaparticle-sync-tell".into());
            drop(thread.spawn(run));
            jobs
        });
        drop(jobs.send(job));
    }

    /// What an event says of grants and handles, whoever has read it.
    fn hear(&self, event: &Event) -> Option<Arc<Grant>> {
        match event.kind() {
            native::HELD | native::TERM => {
                return self.handle(event.lock).map(|handle| Grant::begin(handle, event));
            }
            native::ENDING => self.grant(event.grant)?.told_to_end(event),
            native::LOST | native::RELEASED => self.grant(event.grant)?.end(event.reason),
            native::WAITING => self.handle(event.lock)?.tell_waiting(event),
            native::LOG => {
                let message = event.message()?;
                self.tell(Box::new(move || log::warn(&message)));
            }
            _ if !event.goes_on() => {
                self.handle(event.lock)?.end_run(event.op_id);
            }
            _ => {}
        }
        None
    }

    /// The client's thread: ends with the client.
    fn pump(&self) {
        let mut closed = false;
        while !closed {
            let Some(event) = self.native.next_event() else {
                continue;
            };
            closed = event.op_id == CLOSING;
            let grant = self.hear(&event);
            self.pass_on(Told { event, grant });
        }
        self.end();
    }

    fn pass_on(&self, told: Told) {
        let Ok(mut books) = self.books() else {
            return;
        };
        let number = told.event.op_id;
        let inbox = match told.event.kind() {
            native::WAITING | native::LOG | native::ENDING => None,
            native::TERM | native::LEADER => books.requests.get(&number).cloned(),
            _ => books.requests.remove(&number),
        };
        drop(books);
        if let Some(inbox) = inbox {
            inbox.push(told);
        }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Error {
        Error::new(status, status_text(status as i32))
    }
}
