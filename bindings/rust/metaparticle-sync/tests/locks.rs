//! Locks and elections over a file of each test's own.

use metaparticle_sync::{Candidate, Election, Error, Guard, Handler, Lock, Options, Status};
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc};
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};
use std::time::Duration;

static STORES: AtomicUsize = AtomicUsize::new(0);

/// A store that nobody else has.
fn fresh() -> Options {
    let number = STORES.fetch_add(1, Ordering::Relaxed);
    Options::new().url(format!("memory:{number}"))
}

fn open(options: &Options) -> Lock {
    Lock::open("x", options).unwrap()
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The smallest executor: shows that no runtime is needed.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Arc::new(Unpark(thread::current())).into();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

/// Handles go where threads and tasks need them.
#[test]
fn everything_is_send_and_sync() {
    fn check<T: Send + Sync>() {}
    check::<Lock>();
    check::<Guard>();
    check::<Candidate>();
    check::<Election>();
    check::<Error>();
}

/// A guard holds until it is dropped; the token of the next is higher.
#[test]
fn a_guard_holds_until_it_is_dropped() {
    let options = fresh();
    let (one, other) = (open(&options), open(&options));
    let guard = one.acquire().unwrap();
    assert!(guard.is_held() && one.is_locked() && guard.remaining() > Duration::ZERO);
    assert!(other.try_acquire().unwrap_err().is_busy());
    let token = guard.token();
    drop(guard);
    assert!(!one.is_locked());
    assert!(other.try_acquire().unwrap().token() > token);
}

/// Each error says by its status what to do.
#[test]
fn errors() {
    let options = fresh();
    let lock = open(&options);
    lock.unlock();
    assert_eq!(lock.release().unwrap_err().status(), Status::NotHeld);
    let _guard = lock.acquire().unwrap();
    assert_eq!(lock.acquire().unwrap_err().status(), Status::AlreadyHeld);
    let timeout = open(&options).acquire_timeout(Duration::from_millis(1)).unwrap_err();
    assert_eq!(timeout.status(), Status::Timeout);
    for name in ["", "a\0b", &"n".repeat(1025)] {
        assert_eq!(Lock::open(name, &options).unwrap_err().status(), Status::Invalid);
    }
    let unknown = Lock::open("x", &options.clone().set("colour", "red")).unwrap_err();
    assert_eq!(unknown.status(), Status::Invalid);
    let nobody = Lock::open("x", &Options::new().url("http://127.0.0.1:1")).unwrap();
    let error = nobody.acquire().unwrap_err();
    assert_eq!(error.status(), Status::Unreachable);
    assert!(error.to_string().contains("mpsync elector"), "{error}");
}

/// A waiting thread is cancelled, and the lock can be asked for again.
#[test]
fn cancelling() {
    let options = fresh();
    let guard = open(&options).acquire().unwrap();
    let waiting = open(&options);
    let canceller = waiting.canceller().unwrap();
    let own = waiting.clone();
    let thread = thread::spawn(move || own.acquire().unwrap_err().status());
    while !thread.is_finished() {
        canceller.cancel();
        thread::yield_now();
    }
    assert_eq!(thread.join().unwrap(), Status::Cancelled);
    drop(guard);
    assert!(waiting.try_acquire().is_ok());
}

/// Without a runtime: a future is woken by the release, and one that is dropped withdraws.
#[test]
fn futures_need_no_runtime() {
    let options = fresh();
    let holder = open(&options);
    let guard = holder.acquire().unwrap();
    let withdrawn = Candidate::open("x", &options).unwrap();
    drop(withdrawn.campaign_async("value"));
    let waiting = open(&options);
    let thread = thread::spawn(move || {
        block_on(async move {
            let guard = waiting.acquire_async().await.unwrap();
            guard.release_async().await
        })
    });
    drop(guard);
    thread.join().unwrap().unwrap();
    assert!(holder.try_acquire().is_ok());
}

/// On tokio: a timeout drops the future; a thousand wait without a thread each.
#[test]
fn futures_on_tokio() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let options = fresh();
        let guard = open(&options).acquire_async().await.unwrap();
        let late = open(&options);
        let timeout = tokio::time::timeout(Duration::from_millis(1), late.acquire_async());
        assert!(timeout.await.is_err());
        let waiting: Vec<_> = (0..1000)
            .map(|_| {
                let lock = open(&options);
                tokio::spawn(
                    async move { lock.acquire_async().await.unwrap().release_async().await },
                )
            })
            .collect();
        tokio::task::yield_now().await;
        let threads = std::fs::read_dir("/proc/self/task").unwrap().count();
        assert!(threads < 100, "{threads} threads");
        drop(guard);
        for one in waiting {
            one.await.unwrap().unwrap();
        }
    });
}

/// The names of earlier programs.
#[test]
fn earlier_programs() {
    let url = format!("memory:{}", STORES.fetch_add(1, Ordering::Relaxed));
    let lock = Lock::new("x", &url, 10);
    let other = lock.clone();
    let ran = AtomicUsize::new(0);
    let count = || ran.fetch_add(usize::from(other.is_locked()), Ordering::Relaxed);
    lock.lock(count);
    lock.lock_with_retry(count);
    lock.lock_with_retry_forever(count);
    assert_eq!(ran.load(Ordering::Relaxed), 3);
    assert!(!lock.is_locked());
    assert_eq!(Lock::new("", &url, 10).run(|| 7).unwrap_err().status(), Status::Invalid);
}

/// A panic in the work releases the lock.
#[test]
fn a_panic_releases() {
    let lock = open(&fresh());
    let own = lock.clone();
    assert!(thread::spawn(move || own.lock(|| panic!("work"))).join().is_err());
    assert_eq!(lock.run(|| 7), Ok(7));
}

/// Observers see nobody, the leader, its new value, and nobody again.
#[test]
fn observing() {
    let options = fresh().identity("me");
    let candidate = Candidate::open("x", &options).unwrap();
    let mut seen = candidate.observe().unwrap();
    assert_eq!(seen.next(), Some(None));
    let term = candidate.campaign("one").unwrap();
    let leader = seen.next().unwrap().unwrap();
    assert_eq!((leader.holder.as_str(), leader.value.as_deref()), ("me", Some("one")));
    assert_eq!(leader.token, term.token());
    candidate.set_value("zwei").unwrap();
    assert_eq!(seen.next().unwrap().unwrap().value.as_deref(), Some("zwei"));
    candidate.resign().unwrap();
    assert_eq!(seen.next(), Some(None));
    assert!(!term.is_held() && candidate.leader().unwrap().is_none());
}

/// A run ends when the leader's function returns; then the other leads, whose function panics at first.
#[test]
fn elections_take_over() {
    let options = fresh();
    let (tell, told) = mpsc::channel();
    let (finish, finished) = mpsc::channel::<()>();
    let first = Election::open("x", &options);
    let leads = tell.clone();
    first.add_handler(Handler::Leader, Box::new(|| unreachable!("it was replaced")));
    first.add_handler(
        Handler::Leader,
        Box::new(move || {
            leads.send("first leads").unwrap();
            finished.recv().unwrap();
        }),
    );
    let second = Election::open("x", &options);
    let (leads, follows, mut panics) = (tell.clone(), tell, true);
    second.add_handler(
        Handler::Leader,
        Box::new(move || {
            leads.send("second leads").unwrap();
            assert!(!std::mem::take(&mut panics), "a handler");
        }),
    );
    second
        .add_handler(Handler::Follower, Box::new(move || follows.send("second follows").unwrap()));
    thread::scope(|scope| {
        let own = first.clone();
        scope.spawn(move || own.run());
        assert_eq!(told.recv(), Ok("first leads"));
        assert!(first.is_running());
        let own = second.clone();
        let running = scope.spawn(move || own.try_run());
        assert_eq!(told.recv(), Ok("second follows"));
        finish.send(()).unwrap();
        assert_eq!(told.recv(), Ok("second leads"));
        second.shutdown();
        assert_eq!(told.recv(), Ok("second follows"));
        running.join().unwrap().unwrap();
    });
    assert!(!first.is_running() && !second.is_running());
}
