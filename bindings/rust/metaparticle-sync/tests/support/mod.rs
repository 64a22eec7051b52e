//! What the tests share: stores of their own, the smallest executor, and a hand that takes locks away.
#![allow(unsafe_code, dead_code)]

use metaparticle_sync::{Candidate, Lock, Options};
use metaparticle_sync_sys as sys;
use std::ffi::CString;
use std::fs;
use std::future::Future;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::pin::{pin, Pin};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

static STORES: AtomicUsize = AtomicUsize::new(0);

/// The URL of a store that nobody else has.
pub fn fresh_url() -> String {
    format!("memory:{}", STORES.fetch_add(1, Ordering::Relaxed))
}

pub fn fresh() -> Options {
    Options::new().url(fresh_url())
}

/// A file that nobody else has: not even a test with this process's number in another namespace, or
/// one that has ended.
pub struct File(PathBuf);

impl File {
    pub fn new() -> File {
        for number in 0.. {
            let name = format!("mpsync-{}-{number}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            match fs::create_dir(&folder) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => (),
                made => return made.map(|()| File(folder)).unwrap(),
            }
        }
        unreachable!("all numbers are taken")
    }

    pub fn url(&self) -> String {
        format!("file:{}", self.0.join("locks.db").display())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // A client that nobody refers to any more may still be closing, and write.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whose holder soon learns that it was taken away, by the next renewal, and which does not run out
/// before, however slow the machine is.
pub fn brief(url: &str) -> Options {
    Options::new().url(url).ttl(Duration::from_secs(6))
}

pub fn lock(options: &Options) -> Lock {
    Lock::open("x", options).unwrap()
}

pub fn candidate(options: &Options) -> Candidate {
    Candidate::open("x", options).unwrap()
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The smallest executor: shows that no runtime is needed.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Arc::new(Unpark(thread::current())).into();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

/// Drives one future until the condition holds.
pub fn drive<F: Future>(mut future: Pin<&mut F>, until: impl Fn() -> bool) {
    let waker: Waker = Arc::new(Unpark(thread::current())).into();
    while !until() {
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        thread::yield_now();
    }
}

/// A waker that counts its copies, and does nothing.
pub struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

/// What `mpsync release --force --now` does to "x".
pub fn take_away(url: &str) {
    let (url, name) = (CString::new(url).unwrap(), CString::new("x").unwrap());
    // SAFETY: both texts live through the calls, and the client is closed once.
    unsafe {
        let client =
            sys::mpsync_client_open(url.as_ptr(), ptr::null(), ptr::null_mut(), ptr::null_mut());
        let answer = sys::mpsync_client_force_release(client, name.as_ptr(), 1, ptr::null_mut());
        sys::mpsync_client_close(client);
        assert_eq!(answer, sys::MPSYNC_OK);
    }
}

extern "C" {
    fn fork() -> i32;
    fn alarm(seconds: u32) -> u32;
    fn raise(signal: i32) -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
}

pub const SIGKILL: i32 = 9;
pub const SIGTERM: i32 = 15;

/// Ends this process.
pub fn end_by(signal: i32) -> ! {
    // SAFETY: takes any number.
    unsafe { raise(signal) };
    unreachable!("it is not handled")
}

/// Whether this is true in a child of fork, which ends at once, whatever else is in the process.
pub fn is_so_in_a_child(check: impl FnOnce() -> bool) -> bool {
    let mut status = 0;
    // SAFETY: no pointers but to `status`, which lives through the call.
    unsafe {
        let child = fork();
        if child == 0 {
            alarm(180);
            if check() {
                raise(SIGKILL);
            }
            std::process::abort();
        }
        assert_eq!(waitpid(child, &mut status, 0), child);
    }
    status == SIGKILL
}
