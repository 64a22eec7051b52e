//! What a leader's work and its program should not do: each has one clear rule.

mod support;

use metaparticle_sync::{Candidate, Client, Election, Handler, Lock, Options, Reason, Status};
use std::future::{pending, Future};
use std::pin::{pin, Pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{mpsc, Arc, Barrier};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};
use support::{block_on, brief, candidate, drive, fresh, fresh_url, lock};

const PATIENCE: Duration = Duration::from_secs(180);

/// A client of its own, and options for it.
fn own_client(url: &str) -> (Client, Options) {
    let client = Client::open(url).unwrap();
    let options = Options::new().client(&client);
    (client, options)
}

fn is_free(url: &str) -> bool {
    lock(&Options::new().url(url)).try_acquire().is_ok()
}

/// Work that goes on after `stop` keeps its term until it returns.
#[test]
fn work_that_does_not_return() {
    let url = fresh_url();
    let one = candidate(&Options::new().url(&url));
    let (tell, told) = mpsc::channel();
    let (finish, finished) = mpsc::channel::<()>();
    let leading = one.clone();
    let thread = thread::spawn(move || {
        leading.lead("", |term| {
            leading.stop();
            tell.send((term.ending().wait(), term.clone())).unwrap();
            finished.recv().unwrap();
        })
    });
    let (end, term) = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!((end.reason, end.left), (Reason::Stopped, None));
    assert!(!is_free(&url) && !thread.is_finished() && term.is_held());
    finish.send(()).unwrap();
    assert_eq!(thread.join().unwrap(), Ok(()));
    assert!(is_free(&url));
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A task that is polled by hand.
struct Task<F> {
    future: Pin<Box<F>>,
    woken: Arc<Count>,
}

impl<F: Future> Task<F> {
    fn new(future: F) -> Task<F> {
        Task { future: Box::pin(future), woken: Arc::new(Count(AtomicUsize::new(0))) }
    }

    fn poll(&mut self) -> Poll<F::Output> {
        let waker = Waker::from(Arc::clone(&self.woken));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn await_wake(&self) {
        let began = Instant::now();
        while self.woken.0.swap(0, Ordering::SeqCst) == 0 {
            assert!(began.elapsed() < PATIENCE, "nobody has woken it");
            thread::yield_now();
        }
    }
}

/// A loop begins when another of its candidate has ended, which that one has not noticed yet: both
/// are loops of their own, and `stop` ends the one that is there.
#[test]
fn a_loop_begins_before_another_returns() {
    let one = candidate(&fresh());
    let (terms, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let leads = || {
        Task::new(one.lead_async("", |term| {
            let began = terms.fetch_add(1, Ordering::SeqCst);
            let ended = &ended;
            async move {
                term.ending().await;
                ended.store(began + 1, Ordering::SeqCst);
            }
        }))
    };
    let mut seen = 0;
    while seen < 20 {
        let (mut first, began) = (leads(), terms.load(Ordering::SeqCst));
        drive(first.future.as_mut(), || terms.load(Ordering::SeqCst) > began);
        one.stop();
        let mut progress = Poll::Pending;
        while progress.is_pending() && ended.load(Ordering::SeqCst) == began {
            progress = first.poll();
        }
        if progress.is_ready() {
            continue; // it has noticed already
        }
        let mut second = leads();
        while let Poll::Ready(led) = second.poll() {
            assert_eq!(led.unwrap_err().status(), Status::AlreadyHeld);
            second = leads();
        }
        drop(first);
        drive(second.future.as_mut(), || terms.load(Ordering::SeqCst) == began + 2);
        assert!(one.is_leader());
        one.stop();
        assert_eq!(block_on(second.future), Ok(()));
        assert_eq!(terms.load(Ordering::SeqCst), began + 2, "it stands again");
        seen += 1;
    }
}

/// Tasks that wait for what is left of a dropped run are all woken: one leads, and others are refused.
#[test]
fn two_loops_after_a_dropped_one() {
    let url = fresh_url();
    let one = candidate(&Options::new().url(&url));
    let mut seen = 0;
    while seen < 20 {
        let leads = || one.lead_async("", |_| pending::<()>());
        drive(pin!(leads()), || one.is_leader());
        let (mut one, mut other) = (Task::new(leads()), Task::new(leads()));
        if one.poll().is_pending() && other.poll().is_pending() {
            seen += 1;
            one.await_wake();
            other.await_wake();
        }
    }
}

/// Work that panics before it is a future is work that failed.
#[test]
fn a_panic_before_the_future() {
    let one = candidate(&brief(&fresh_url()));
    let mut terms = 0;
    let led = block_on(one.lead_async("", |_| {
        terms += 1;
        assert!(terms > 1, "no luck");
        one.stop();
        async {}
    }));
    assert_eq!((led, terms), (Ok(()), 2));
}

/// A lock is not reentrant; what closes the client inside of its work ends its protection, which is
/// told.
#[test]
fn inside_of_a_lock() {
    let url = fresh_url();
    let (client, options) = own_client(&url);
    let one = lock(&options);
    let ran = one.run(|| one.run(|| ()).unwrap_err().status());
    assert_eq!(ran, Ok(Status::AlreadyHeld));
    let closed = one.run(|| {
        client.close();
        assert!(!one.is_locked() && is_free(&url));
    });
    assert_eq!(closed.unwrap_err().status(), Status::Closed);
}

/// The first API: close inside of a function ends the run, and the follower's is told.
#[test]
fn close_in_a_function_of_the_first_api() {
    let url = fresh_url();
    let (client, options) = own_client(&url);
    let mut election = Election::open("x", &options);
    let told = Arc::new(AtomicUsize::new(0));
    let follows = Arc::clone(&told);
    election.add_handler(Handler::Leader, Box::new(move || client.close()));
    let count = move || {
        follows.fetch_add(1, Ordering::SeqCst);
    };
    election.add_handler(Handler::Follower, Box::new(count));
    assert_eq!(election.try_run().unwrap_err().status(), Status::Closed);
    assert_eq!(told.load(Ordering::SeqCst), 1);
    assert!(is_free(&url) && !election.is_running());
    election.shutdown();
    assert_eq!(election.try_run().unwrap_err().status(), Status::Closed);
}

/// However often and from wherever it is closed, each call returns when it is closed.
#[test]
fn closed_from_several_threads() {
    for _ in 0..20 {
        let url = fresh_url();
        let (client, options) = own_client(&url);
        let guard = lock(&options).acquire().unwrap();
        let together = Barrier::new(4);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    together.wait();
                    client.close();
                    assert!(!guard.is_held());
                });
            }
        });
        client.close();
        assert!(is_free(&url));
    }
}

/// Closing inside of a callback does not wait for it.
#[test]
fn close_in_a_callback() {
    let url = fresh_url();
    let _guard = lock(&Options::new().url(&url)).acquire().unwrap();
    let (client, options) = own_client(&url);
    let waiting = lock(&options);
    waiting.on_waiting(move |_| client.close());
    let ended = waiting.acquire().unwrap_err().status();
    assert!(matches!(ended, Status::Closed | Status::Cancelled), "{ended:?}");
}

/// What is asked of a closed client fails by its status, or does nothing, and never waits.
#[test]
fn use_after_close() {
    let (client, options) = own_client(&fresh_url());
    let (one, leader) = (lock(&options), Candidate::open("y", &options).unwrap());
    let (guard, term) = (one.acquire().unwrap(), leader.campaign("").unwrap());
    let mut seen = leader.observe().unwrap();
    client.close();
    let closed = |error: metaparticle_sync::Error| assert_eq!(error.status(), Status::Closed);
    closed(one.acquire().unwrap_err());
    closed(one.try_acquire().unwrap_err());
    closed(block_on(one.acquire_async()).unwrap_err());
    closed(one.run(|| ()).unwrap_err());
    closed(leader.campaign("").unwrap_err());
    closed(leader.lead("", |_| ()).unwrap_err());
    closed(block_on(leader.lead_async("", |_| pending::<()>())).unwrap_err());
    closed(leader.leader().unwrap_err());
    closed(leader.set_value("").unwrap_err());
    assert_eq!(one.release().unwrap_err().status(), Status::NotHeld);
    assert_eq!(leader.resign().unwrap_err().status(), Status::NotHeld);
    leader.stop();
    leader.canceller().cancel();
    one.unlock();
    assert!(!guard.is_held() && !one.is_locked() && !leader.is_leader());
    assert_eq!((guard.remaining(), guard.lost().wait()), (Duration::ZERO, None));
    assert!(seen.by_ref().all(|leader| leader.is_some()), "its last word is what it had seen");
    assert_eq!(guard.release().unwrap_err().status(), Status::NotHeld);
    assert_eq!(block_on(term.release_async()).unwrap_err().status(), Status::NotHeld);
}

/// What ends a wait or a run, in the language's own way or by a call, is without effect while the
/// client closes: nothing waits for ever, and nothing is held.
#[test]
fn ends_while_the_client_closes() {
    let url = fresh_url();
    let _held = Lock::open("held", &Options::new().url(&url)).unwrap().acquire().unwrap();
    for round in 0..60 {
        let (client, options) = own_client(&url);
        let open = |name| Candidate::open(name, &options).unwrap();
        let (standing, leading, drained) = (open("held"), open("a"), open("b"));
        let waiting = Lock::open("held", &options).unwrap();
        let (began, together) = (AtomicBool::new(false), Barrier::new(3));
        thread::scope(|scope| {
            scope.spawn(|| {
                let led = drained.lead("", |term| {
                    began.store(true, Ordering::SeqCst);
                    term.ending().wait();
                });
                assert!(led.is_ok() || led.unwrap_err().status() == Status::Closed);
            });
            let mut stands = Box::pin(standing.lead_async("", |_| pending::<()>()));
            let mut leads = Box::pin(leading.lead_async("", |term| async move {
                term.ending().await;
            }));
            let mut waits = Box::pin(waiting.acquire_async());
            let mut seen = leading.observe().unwrap();
            drive(stands.as_mut(), || true);
            drive(waits.as_mut(), || true);
            drive(leads.as_mut(), || leading.is_leader() && began.load(Ordering::SeqCst));
            scope.spawn(|| {
                together.wait();
                client.close();
            });
            scope.spawn(|| {
                together.wait();
                drained.stop();
                standing.canceller().cancel();
                drop(drained.resign());
                drop(drained.set_value("new"));
            });
            together.wait();
            if round % 2 == 0 {
                drop((stands, leads, waits));
            } else {
                for ended in [block_on(stands), block_on(leads), block_on(waits).map(drop)] {
                    let ended = ended.map_or_else(|error| error.status(), |()| Status::Cancelled);
                    assert!(matches!(ended, Status::Closed | Status::Cancelled), "{ended:?}");
                }
                seen.by_ref().for_each(drop); // it ends
            }
        });
        for name in ["a", "b"] {
            let next = Lock::open(name, &Options::new().url(&url)).unwrap();
            drop(next.acquire_timeout(PATIENCE).unwrap());
        }
    }
}
