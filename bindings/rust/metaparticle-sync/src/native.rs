//! The C library behind safe types. All that is `unsafe` in this crate is here.
//!
//! Three facts carry each block: every function of the library may be called from any thread and
//! with NULL; handles count references, so they may be freed in any order; texts are copied on the
//! way in and are valid until their owner is freed on the way out.
#![allow(unsafe_code)]

use crate::error::{Error, Status};
use metaparticle_sync_sys as sys;
use std::ffi::{CStr, CString};
use std::ops::Deref;
use std::os::raw::{c_char, c_int};
use std::ptr::{self, NonNull};
use std::sync::Once;

/// What an event tells, as the library's constants have it.
pub(crate) use sys::{
    MPSYNC_EVENT_ENDING as ENDING, MPSYNC_EVENT_HELD as HELD, MPSYNC_EVENT_LEADER as LEADER,
    MPSYNC_EVENT_LOG as LOG, MPSYNC_EVENT_LOST as LOST, MPSYNC_EVENT_RELEASED as RELEASED,
    MPSYNC_EVENT_TERM as TERM, MPSYNC_EVENT_WAITING as WAITING,
};

/// An event of the library: its fields, and its texts as copies.
pub(crate) struct Event(NonNull<sys::mpsync_event>);

// SAFETY: an event is read-only, and nobody else has it.
unsafe impl Send for Event {}

impl Event {
    pub fn kind(&self) -> u32 {
        self.type_ as u32
    }

    /// Whether more of the same request will come.
    pub fn goes_on(&self) -> bool {
        matches!(self.kind(), WAITING | LEADER | LOG | TERM | ENDING)
    }

    pub fn holder(&self) -> Option<String> {
        text_of(self.holder)
    }

    pub fn value(&self) -> Option<String> {
        text_of(self.value)
    }

    pub fn message(&self) -> Option<String> {
        text_of(self.message)
    }

    pub fn result(&self) -> Result<(), Error> {
        if self.status == 0 {
            return Ok(());
        }
        let said = status_text(self.status);
        let message = self.message().or_else(|| Some(format!("{said}: {} has it", self.holder()?)));
        Err(Error::new(Status::of(self.status), message.unwrap_or(said)))
    }
}

impl Deref for Event {
    type Target = sys::mpsync_event;

    fn deref(&self) -> &sys::mpsync_event {
        // SAFETY: it is freed by drop alone.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the library gave it to this owner.
        unsafe { sys::mpsync_event_free(self.0.as_ptr()) }
    }
}

fn text_of(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the library's texts end in NUL and live as long as their owner, which the caller has.
    Some(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

pub(crate) fn status_text(status: i32) -> String {
    // SAFETY: takes any number; the text lives for ever.
    text_of(unsafe { sys::mpsync_status_text(status) }).unwrap_or_default()
}

pub(crate) fn reason_text(reason: i32) -> String {
    // SAFETY: takes any number; the text lives for ever.
    text_of(unsafe { sys::mpsync_reason_text(reason) }).unwrap_or_default()
}

fn c_text(what: &str, text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| {
        Error::new(Status::Invalid, format!("{what}: {text:?} has a NUL character in it"))
    })
}

fn optional(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(ptr::null(), |text| text.as_ptr())
}

/// Calls with an error to fill, and turns it into a `Result`.
fn checked<T>(call: impl FnOnce(*mut sys::mpsync_error) -> T) -> Result<T, Error> {
    let mut error = sys::mpsync_error { status: 0, message: [0; 248] };
    let answer = call(&mut error);
    if error.status == 0 {
        return Ok(answer);
    }
    let message = text_of(error.message.as_ptr()).unwrap_or_default();
    Err(Error::new(Status::of(error.status), message))
}

pub(crate) struct Options(*mut sys::mpsync_options);

impl Options {
    pub fn new(settings: &[(String, String)]) -> Result<Options, Error> {
        // SAFETY: no precondition; the result is freed once, by drop.
        let options = Options(checked(|e| unsafe { sys::mpsync_options_new(e) })?);
        for (name, value) in settings {
            let (name, value) = (c_text("option", name)?, c_text(name, value)?);
            // SAFETY: the options live, both texts are copied.
            checked(|e| unsafe {
                sys::mpsync_options_set(options.0, name.as_ptr(), value.as_ptr(), e)
            })?;
        }
        Ok(options)
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: made by new, freed here alone.
        unsafe { sys::mpsync_options_free(self.0) }
    }
}

/// The bit of a request's number whose events only `Client::wait_for` gives.
pub(crate) use sys::MPSYNC_OP_AWAITED as AWAITED;

/// A client with its queue. Only one thread may read events; the rest is for every thread.
pub(crate) struct Client {
    client: *mut sys::mpsync_client,
    queue: *mut sys::mpsync_queue,
}

// SAFETY: the library says that every function may be called from any thread.
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}

extern "C" {
    fn atexit(function: extern "C" fn()) -> c_int;
}

/// How long the end of the process waits for what its death alone would not give back.
const EXIT_MS: i64 = 1000;

extern "C" fn at_exit() {
    // SAFETY: takes any number; a NULL error is allowed.
    unsafe { sys::mpsync_exit(EXIT_MS, ptr::null_mut()) };
}

impl Client {
    pub fn open(url: Option<&str>) -> Result<Client, Error> {
        static AT_EXIT: Once = Once::new();
        // SAFETY: the function lives as long as the process. Without memory for it nothing is lost.
        AT_EXIT.call_once(|| {
            let _ = unsafe { atexit(at_exit) };
        });
        let url = url.map(|url| c_text("url", url)).transpose()?;
        // SAFETY: no precondition; freed by drop, or below.
        let queue = checked(|e| unsafe { sys::mpsync_queue_new(e) })?;
        // SAFETY: the url is NULL or text, the queue lives.
        checked(|e| unsafe { sys::mpsync_client_open(optional(&url), ptr::null(), queue, e) })
            .map(|client| Client { client, queue })
            .inspect_err(|_| {
                // SAFETY: nobody else has it.
                unsafe { sys::mpsync_queue_free(queue) }
            })
    }

    /// The next event; waits for it.
    pub fn next_event(&self) -> Option<Event> {
        // SAFETY: the queue lives as long as self.
        NonNull::new(unsafe { sys::mpsync_queue_wait(self.queue, -1) }).map(Event)
    }

    /// The next event of this request, which has `AWAITED` in its number; `None` after a signal.
    pub fn wait_for(&self, op: u64) -> Option<Event> {
        // SAFETY: the queue lives as long as self.
        NonNull::new(unsafe { sys::mpsync_queue_wait_for(self.queue, op) }).map(Event)
    }

    /// Release all that is held; if this is true, the event DONE of this request is the client's last.
    pub fn close_start(&self, op: u64) -> bool {
        // SAFETY: the client lives; a NULL error is allowed.
        unsafe { sys::mpsync_client_close_start(self.client, op, ptr::null_mut()) == 0 }
    }

    pub fn observe_start(&self, op: u64, name: &str) -> Result<(), Error> {
        let name = c_text("name", name)?;
        // SAFETY: the client lives, the name is copied.
        checked(|e| unsafe {
            sys::mpsync_client_observe_start(self.client, op, name.as_ptr(), e)
        })?;
        Ok(())
    }

    pub fn observe_stop(&self, op: u64) {
        // SAFETY: the client lives; a NULL error is allowed.
        unsafe { sys::mpsync_client_observe_stop(self.client, op, ptr::null_mut()) };
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: made by open, freed here alone.
        unsafe {
            sys::mpsync_client_close(self.client);
            sys::mpsync_queue_free(self.queue);
        }
    }
}

enum Raw {
    Lock(*mut sys::mpsync_lock),
    Election(*mut sys::mpsync_election),
}

/// A lock or an election.
pub(crate) struct Handle(Raw);

// SAFETY: the library says that every function may be called from any thread.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

/// Calls the one or the other, with these further arguments.
macro_rules! call {
    ($handle:expr, $lock:ident, $election:ident $(, $argument:expr)*) => {
        // SAFETY: the handle lives as long as its owner, texts are copied, and an error is NULL or
        // the caller's own.
        unsafe {
            match $handle.0 {
                Raw::Lock(lock) => sys::$lock(lock $(, $argument)*),
                Raw::Election(election) => sys::$election(election $(, $argument)*),
            }
        }
    };
}

impl Handle {
    pub fn lock(client: &Client, name: &str, options: &Options) -> Result<Handle, Error> {
        let name = c_text("name", name)?;
        // SAFETY: all three live through the call.
        checked(|e| unsafe { sys::mpsync_lock_new(client.client, name.as_ptr(), options.0, e) })
            .map(|lock| Handle(Raw::Lock(lock)))
    }

    pub fn election(client: &Client, name: &str, options: &Options) -> Result<Handle, Error> {
        let name = c_text("name", name)?;
        // SAFETY: all three live through the call.
        checked(|e| unsafe { sys::mpsync_election_new(client.client, name.as_ptr(), options.0, e) })
            .map(|election| Handle(Raw::Election(election)))
    }

    pub fn id(&self) -> u64 {
        call!(self, mpsync_lock_id, mpsync_election_id)
    }

    pub fn start(&self, op: u64, value: Option<&str>, wait_ms: i64) -> Result<(), Error> {
        let value = value.map(|value| c_text("value", value)).transpose()?;
        // SAFETY: the handle lives, the value is copied.
        checked(|e| unsafe {
            match self.0 {
                Raw::Lock(lock) => sys::mpsync_lock_acquire_start(lock, op, wait_ms, e),
                Raw::Election(election) => {
                    sys::mpsync_election_campaign_start(election, op, optional(&value), wait_ms, e)
                }
            }
        })
        .map(drop)
    }

    /// Takes the request back, whatever has become of it.
    pub fn withdraw(&self, op: u64) {
        call!(self, mpsync_lock_withdraw, mpsync_election_withdraw, op, ptr::null_mut());
    }

    pub fn cancel(&self) {
        call!(self, mpsync_lock_cancel, mpsync_election_cancel, ptr::null_mut());
    }

    pub fn release_start(&self, op: u64, grant: u64) -> Result<(), Error> {
        checked(|e| {
            call!(self, mpsync_lock_release_start, mpsync_election_resign_start, op, grant, e)
        })
        .map(drop)
    }

    /// Releases what is held, and blocks until the store knows; of a run, asks for the term's end.
    pub fn release(&self) -> Result<(), Error> {
        checked(|e| call!(self, mpsync_lock_release, mpsync_election_resign, e)).map(drop)
    }

    /// What only an election can do.
    fn as_election(&self) -> Result<*mut sys::mpsync_election, Error> {
        match self.0 {
            Raw::Election(election) => Ok(election),
            Raw::Lock(_) => Err(Error::new(Status::Unsupported, "this is a lock")),
        }
    }

    pub fn run_start(&self, op: u64, value: Option<&str>, wait_ms: i64) -> Result<(), Error> {
        let value = value.map(|value| c_text("value", value)).transpose()?;
        let election = self.as_election()?;
        // SAFETY: the election lives, the value is copied.
        checked(|e| unsafe {
            sys::mpsync_election_run_start(election, op, optional(&value), wait_ms, e)
        })
        .map(drop)
    }

    pub fn run_stop(&self, op: u64) {
        call!(self, mpsync_lock_run_stop, mpsync_election_run_stop, op, ptr::null_mut());
    }

    pub fn term_done(&self, grant: u64, failed: bool) {
        let failed = i32::from(failed);
        call!(
            self,
            mpsync_lock_term_done,
            mpsync_election_term_done,
            grant,
            failed,
            ptr::null_mut()
        );
    }

    pub fn set_value_start(&self, op: u64, value: &str) -> Result<(), Error> {
        let value = c_text("value", value)?;
        let election = self.as_election()?;
        // SAFETY: the election lives, the value is copied.
        checked(|e| unsafe {
            sys::mpsync_election_set_value_start(election, op, value.as_ptr(), e)
        })
        .map(drop)
    }

    /// The present grant; 0 without one.
    pub fn grant(&self) -> u64 {
        call!(self, mpsync_lock_grant, mpsync_election_grant)
    }

    #[inline]
    pub fn is_held(&self, grant: u64) -> bool {
        call!(self, mpsync_lock_is_held, mpsync_election_is_leader, grant) != 0
    }

    /// Why this grant was lost; 0 when it was not.
    pub fn lost_reason(&self, grant: u64) -> i32 {
        call!(self, mpsync_lock_lost_reason, mpsync_election_lost_reason, grant)
    }

    pub fn remaining_ms(&self, grant: u64) -> u64 {
        let ms = call!(self, mpsync_lock_remaining_ms, mpsync_election_remaining_ms, grant);
        ms.max(0) as u64
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        call!(self, mpsync_lock_free, mpsync_election_free);
    }
}
