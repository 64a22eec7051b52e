//! Locks and campaigns over a store of each test's own.

mod support;

use metaparticle_sync::{
    Canceller, Candidate, Client, Election, Error, Guard, Lock, Lost, Observer, Options, Status,
    Term,
};
use std::future::Future;
use std::pin::{pin, Pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc};
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};
use support::{block_on, brief, candidate, drive, fresh, fresh_url, lock, take_away, Nobody};

/// Handles go where threads and tasks need them.
#[test]
fn everything_is_send_and_sync() {
    fn check<T: Send + Sync>() {}
    check::<(Lock, Guard, Term, Lost, Candidate, Canceller)>();
    check::<(Election, Observer, Client, Options, Error)>();
}

/// A guard holds until it is dropped; the token of the next is higher.
#[test]
fn a_guard_holds_until_it_is_dropped() {
    let options = fresh();
    let (one, other) = (lock(&options), lock(&options));
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
    let lock = support::lock(&options);
    lock.unlock();
    assert_eq!(lock.release().unwrap_err().status(), Status::NotHeld);
    let _guard = lock.acquire().unwrap();
    assert_eq!(lock.acquire().unwrap_err().status(), Status::AlreadyHeld);
    let timeout = support::lock(&options).acquire_timeout(Duration::from_millis(1)).unwrap_err();
    assert_eq!(timeout.status(), Status::Timeout);
    for name in ["", "a\0b", &"n".repeat(1025)] {
        assert_eq!(Lock::open(name, &options).unwrap_err().status(), Status::Invalid);
    }
    let unknown = Lock::open("x", &options.clone().set("colour", "red")).unwrap_err();
    assert_eq!(unknown.status(), Status::Invalid);
}

/// A waiting thread is cancelled, and the lock can be asked for again.
#[test]
fn cancelling() {
    let options = fresh();
    let guard = lock(&options).acquire().unwrap();
    let waiting = lock(&options);
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
    let holder = lock(&options);
    let guard = holder.acquire().unwrap();
    let withdrawn = Candidate::open("x", &options).unwrap();
    drop(withdrawn.campaign_async("value"));
    let waiting = lock(&options);
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
        let guard = lock(&options).acquire_async().await.unwrap();
        let late = lock(&options);
        let timeout = tokio::time::timeout(Duration::from_millis(1), late.acquire_async());
        assert!(timeout.await.is_err());
        let waiting: Vec<_> = (0..1000)
            .map(|_| {
                let lock = lock(&options);
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
    let url = fresh_url();
    let lock = Lock::new("x", url.as_str(), 10);
    let other = lock.clone();
    let ran = AtomicUsize::new(0);
    let count = || ran.fetch_add(usize::from(other.is_locked()), Ordering::Relaxed);
    lock.lock(count);
    lock.lock_with_retry(count);
    lock.lock_with_retry_forever(count);
    assert_eq!(ran.load(Ordering::Relaxed), 3);
    assert!(!lock.is_locked());
    assert_eq!(Lock::new("", url.as_str(), 10).run(|| 7).unwrap_err().status(), Status::Invalid);
}

/// A panic in the work releases the lock.
#[test]
fn a_panic_releases() {
    let lock = support::lock(&fresh());
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

/// Without an elector a try says at once what to do, and a wait waits.
#[test]
fn no_elector_yet() {
    let nobody = lock(&Options::new().url("http://127.0.0.1:1"));
    let error = nobody.try_acquire().unwrap_err();
    assert_eq!(error.status(), Status::Unreachable);
    assert!(error.to_string().contains("mpsync elector"), "{error}");
    let began = Instant::now();
    let error = nobody.acquire_timeout(Duration::from_millis(300)).unwrap_err();
    assert!(began.elapsed() >= Duration::from_millis(250), "{:?} {error:?}", began.elapsed());
}

/// A wait that ended without the lock leaves nothing: the same lock is asked again at once.
#[test]
fn asked_again_at_once() {
    let options = fresh();
    let guard = lock(&options).acquire().unwrap();
    let waiting = lock(&options);
    for _ in 0..100 {
        let late = waiting.acquire_timeout(Duration::from_millis(1)).unwrap_err();
        assert_eq!(late.status(), Status::Timeout);
        drop(candidate(&options).campaign_async(""));
        let mut dropped = Box::pin(waiting.acquire_async());
        drive(dropped.as_mut(), || true);
    }
    drop(guard);
    assert!(waiting.try_acquire().is_ok());
}

/// A future that is dropped, at whatever moment, leaves nothing held and nothing queued.
#[test]
fn dropped_at_any_moment() {
    let options = fresh();
    let (one, other) = (lock(&options), lock(&options));
    for round in 0..200 {
        let mut asking = Box::pin(one.acquire_async());
        let waker = Waker::from(Arc::new(Nobody));
        let first = asking.as_mut().poll(&mut Context::from_waker(&waker));
        if first.is_pending() && round % 2 == 0 {
            thread::sleep(Duration::from_micros(10 * round));
        }
        drop((first, asking));
        drop(other.acquire_timeout(Duration::from_secs(60)).unwrap());
    }
}

/// One handle's waiting is seen: who has it, and who is next.
#[test]
fn waiting_is_told() {
    let options = fresh();
    let holder = Lock::open("x", &options.clone().identity("holder")).unwrap();
    let guard = holder.acquire().unwrap();
    let (tell, told) = mpsc::channel();
    let tell_async = tell.clone();
    let (blocking, waiting) = (lock(&options), lock(&options));
    blocking.on_waiting(move |waiting| tell.send(waiting.clone()).unwrap());
    waiting.on_waiting(move |waiting| tell_async.send(waiting.clone()).unwrap());
    assert!(blocking.acquire_timeout(Duration::from_millis(10)).is_err());
    assert_eq!(told.recv().unwrap().holder.as_deref(), Some("holder"));
    let asking = waiting.acquire_async();
    let seen = AtomicUsize::new(0);
    drive(pin!(asking), || {
        seen.fetch_add(
            told.try_iter().filter(|told| told.holder.as_deref() == Some("holder")).count(),
            Ordering::Relaxed,
        );
        seen.load(Ordering::Relaxed) > 0
    });
    drop(guard);
}

/// What calls back may wait for ever: it is not the thread that reads events.
#[test]
fn a_callback_that_never_returns() {
    let options = fresh();
    let guard = lock(&options).acquire().unwrap();
    let waiting = lock(&options);
    let (tell, told) = mpsc::channel();
    waiting.on_waiting(move |_| {
        tell.send(()).unwrap();
        thread::park();
    });
    let own = waiting.clone();
    let thread = thread::spawn(move || block_on(own.acquire_async()).map(drop));
    told.recv().unwrap();
    drop(guard);
    assert_eq!(thread.join().unwrap(), Ok(()));
}

/// The end of a grant is told with its reason, to threads and to tasks.
#[test]
fn a_loss_is_told() {
    let url = fresh_url();
    let one = lock(&brief(&url));
    let guard = block_on(one.acquire_async()).unwrap();
    take_away(&url);
    let lost = block_on(guard.lost()).unwrap();
    assert_eq!(lost.status(), Status::Lost);
    assert!(lost.to_string().contains("\"x\" was lost"), "{lost}");
    assert_eq!(guard.lost().wait(), guard.check().err());
    assert!(!one.is_locked() && guard.release().is_err());
    let guard = one.acquire().unwrap();
    let lost = guard.lost();
    assert_eq!(one.release(), Ok(()));
    assert_eq!(lost.wait(), None, "it was released");
}

/// Who keeps the loss of a grant, but not its guard, holds nothing, and is told so.
#[test]
fn a_dropped_guard_is_told() {
    let options = fresh();
    let lost = lock(&options).acquire().unwrap().lost();
    let told = lost.wait().unwrap();
    assert_eq!(told.status(), Status::NotHeld);
    assert!(told.to_string().contains("\"x\" was released, as its guard was dropped"), "{told}");
    assert!(lock(&options).try_acquire().is_ok());
}

/// A `select!` loop over `Lost` keeps one waker, and none when it is over.
#[test]
fn one_waker_for_each_wait() {
    let guard = lock(&fresh()).acquire().unwrap();
    let nobody = Arc::new(Nobody);
    let waker = Waker::from(Arc::clone(&nobody));
    let mut context = Context::from_waker(&waker);
    let (mut lost, mut ending) = (guard.lost(), guard.ending());
    for _ in 0..1000 {
        assert!(Pin::new(&mut lost).poll(&mut context).is_pending());
        assert!(Pin::new(&mut ending).poll(&mut context).is_pending());
        assert!(Pin::new(&mut guard.lost()).poll(&mut context).is_pending());
    }
    assert_eq!(Arc::strong_count(&nobody), 4, "two that wait, this one and its waker");
    drop((lost, ending));
    assert_eq!(Arc::strong_count(&nobody), 2);
}

/// A client that is closed releases what is held through it, and ends what waits.
#[test]
fn closing() {
    let url = fresh_url();
    let client = Client::open(&url).unwrap();
    let own = Options::new().client(&client);
    let (one, waiting) = (lock(&own), lock(&own));
    let guard = one.acquire().unwrap();
    let mut seen = candidate(&own).observe().unwrap();
    assert!(seen.next().unwrap().is_some());
    let (tell, told) = mpsc::channel();
    waiting.on_waiting(move |_| tell.send(()).unwrap());
    let thread = thread::spawn(move || waiting.acquire().unwrap_err().status());
    told.recv().unwrap();
    client.close();
    assert!(!guard.is_held() && lock(&Options::new().url(url)).try_acquire().is_ok());
    assert_eq!(guard.lost().wait(), None);
    assert!(matches!(thread.join().unwrap(), Status::Closed | Status::Cancelled));
    assert_eq!(seen.by_ref().last(), None);
    assert_eq!(one.acquire().unwrap_err().status(), Status::Closed);
    client.close();
    assert!(one.is_locked().eq(&false) && Lock::open("y", &own).is_ok());
}
