//! `Candidate::lead`: term after term, and every way in which its work may end.

mod support;

use metaparticle_sync::{Candidate, Client, Error, Options, Reason, Status, Term};
use std::future::{pending, ready};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use support::{block_on, brief, candidate, drive, fresh, fresh_url, lock, take_away};

/// Work that returns gives the term back, and the candidate stands again until it is stopped.
#[test]
fn leads_term_after_term() {
    let one = candidate(&fresh());
    let mut tokens = Vec::new();
    let led = one.lead("value", |term| {
        assert!(term.is_held() && !term.is_ending() && one.is_leader());
        tokens.push(term.token());
        if tokens.len() == 3 {
            one.stop();
            let end = term.ending().wait();
            assert_eq!((end.reason, end.left), (Reason::Stopped, None));
            assert_eq!(end.reason.to_string(), "stopped");
            assert!(term.is_held() && term.check().is_ok(), "it is drained");
        }
    });
    assert_eq!(led, Ok(()));
    assert!(tokens.len() == 3 && tokens.windows(2).all(|pair| pair[0] < pair[1]));
}

/// What is stopped before it has begun ends as it begins; once, and in whichever thread.
#[test]
fn stop_before_lead() {
    let one = candidate(&fresh());
    one.stop();
    assert_eq!(one.lead::<()>("", |_| unreachable!("it was stopped")), Ok(()));
    let mut terms = 0;
    let again = one.lead("", |_| {
        terms += 1;
        one.stop();
    });
    assert_eq!((again, terms), (Ok(()), 1));
}

/// Nobody leads beside work that was told to end and has not ended yet.
#[test]
fn the_next_leader_waits_for_the_work() {
    let options = fresh();
    let (one, next) = (candidate(&options), candidate(&options));
    let (tell, told) = mpsc::channel();
    let (finish, finished) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let (leads, one) = (tell.clone(), one.clone());
        let stopper = one.clone();
        scope.spawn(move || {
            one.lead("one", move |term| {
                leads.send("one").unwrap();
                term.ending().wait();
                leads.send("is told").unwrap();
                finished.recv().unwrap();
                assert!(term.is_held());
                leads.send("ends").unwrap();
            })
        });
        assert_eq!(told.recv(), Ok("one"));
        scope.spawn(|| {
            next.lead("next", |_| {
                tell.send("next").unwrap();
                next.stop();
            })
        });
        stopper.stop();
        assert_eq!(told.recv(), Ok("is told"));
        assert_eq!(told.recv_timeout(Duration::from_millis(100)).ok(), None);
        finish.send(()).unwrap();
        assert_eq!((told.recv(), told.recv()), (Ok("ends"), Ok("next")));
    });
}

/// After work that failed, by an error or a panic, the candidate stands again.
#[test]
fn work_that_fails() {
    let one = candidate(&brief(&fresh_url()));
    let mut terms = 0;
    let led = one.lead("", |_| {
        terms += 1;
        match terms {
            1 => Err("no luck"),
            2 => panic!("worse"),
            _ => {
                one.stop();
                Ok(())
            }
        }
    });
    assert_eq!((led, terms), (Ok(()), 3));
}

/// The work may call whatever it likes of its own candidate; nothing waits for itself.
#[test]
fn calls_from_inside() {
    let url = fresh_url();
    let client = Client::open(&url).unwrap();
    let one = candidate(&Options::new().client(&client));
    let mut terms = 0;
    let led = one.lead("", |term| {
        terms += 1;
        let again = one.lead("", |_| ()).unwrap_err();
        assert_eq!(again.status(), Status::AlreadyHeld);
        assert_eq!(one.campaign("").unwrap_err().status(), Status::AlreadyHeld);
        one.set_value("new").unwrap();
        assert_eq!(one.leader().unwrap().unwrap().value.as_deref(), Some("new"));
        if terms == 1 {
            one.resign().unwrap();
            assert_eq!(term.ending().wait().reason, Reason::Asked);
            assert!(term.is_held(), "until the work has ended");
        } else {
            client.close();
            assert_eq!(term.ending().wait().left, Some(Duration::ZERO));
            assert!(!term.is_held());
        }
    });
    assert_eq!((led.unwrap_err().status(), terms), (Status::Closed, 2));
    assert!(lock(&Options::new().url(url)).try_acquire().is_ok());
}

/// What is lost is told with its reason, and the candidate does not stand again before its work has
/// ended.
#[test]
fn a_loss() {
    let url = fresh_url();
    let one = candidate(&brief(&url));
    let mut ends = Vec::new();
    let led = one.lead("", |term: &Term| {
        if !ends.is_empty() {
            return one.stop();
        }
        take_away(&url);
        ends.push(term.ending().wait());
        let lost = term.lost().wait().unwrap();
        assert_eq!(lost.status(), Status::Lost);
        assert!(lost.to_string().contains("\"x\" was lost"), "{lost}");
        assert!(term.check().is_err() && !term.is_held() && !one.is_leader());
    });
    assert_eq!(led, Ok(()));
    assert!(matches!(ends[0].reason, Reason::Revoked | Reason::Deleted));
    assert_eq!(ends[0].left, Some(Duration::ZERO));
}

/// A run ends with what it can never get, or when its wait is over.
#[test]
fn what_a_run_ends_with() {
    let options = fresh();
    let _held = lock(&options).acquire().unwrap();
    let late = candidate(&options.clone().wait(Duration::from_millis(1)));
    assert!(late.lead::<()>("", |_| unreachable!("it is held")).unwrap_err().is_busy());
    let long = "v".repeat(20_000);
    assert_eq!(late.lead(&long, |_| ()).unwrap_err().status(), Status::Invalid);
    let cancelled = candidate(&options);
    let waiting = cancelled.clone();
    cancelled.on_waiting(move |_| waiting.canceller().cancel());
    assert_eq!(cancelled.lead::<()>("", |_| unreachable!("it is held")), Ok(()));
}

async fn fail(term: Term, terms: &AtomicUsize, one: &Candidate) -> Result<(), Error> {
    match terms.fetch_add(1, Ordering::Relaxed) {
        0 => one.leader().and(Err(Status::Unsupported.into())),
        1 => panic!("worse"),
        _ => {
            one.stop();
            assert_eq!(term.ending().await.reason, Reason::Stopped);
            assert!(term.is_held());
            Ok(())
        }
    }
}

/// As a future of no runtime: errors, panics, the async wait for the end.
#[test]
fn leads_as_a_future() {
    let one = candidate(&brief(&fresh_url()));
    let terms = AtomicUsize::new(0);
    let led = block_on(one.lead_async("value", |term| fail(term, &terms, &one)));
    assert_eq!((led, terms.into_inner()), (Ok(()), 3));
}

/// A future that is dropped takes its work along, gives the term back, and leaves nothing behind:
/// the same candidate may lead again at once, at whatever moment it was dropped.
#[test]
fn a_dropped_future_gives_back() {
    let options = fresh();
    let one = candidate(&options);
    let terms = AtomicUsize::new(0);
    for round in 0..100 {
        let leading = one.lead_async("", |_| {
            terms.fetch_add(1, Ordering::Relaxed);
            pending::<()>()
        });
        let began = terms.load(Ordering::Relaxed);
        let polls = AtomicUsize::new(0);
        drive(pin!(leading), || match round % 7 {
            6 => terms.load(Ordering::Relaxed) > began,
            most => polls.fetch_add(1, Ordering::Relaxed) >= most,
        });
    }
    let led = block_on(one.lead_async("", |_| {
        one.stop();
        ready(())
    }));
    assert_eq!(led, Ok(()));
    assert!(lock(&options).acquire_timeout(Duration::from_secs(60)).is_ok());
}

/// Work that does not end when it is told to has as long as the option `drain` says.
#[test]
fn work_that_never_returns() {
    let options = fresh();
    let (one, next) = (candidate(&options.clone().set("drain", "100ms")), lock(&options));
    let (tell, told) = mpsc::channel();
    let (finish, finished) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let leading = &one;
        scope.spawn(move || {
            leading.lead("", |term| {
                leading.stop();
                tell.send((term.ending().wait().left, term.clone())).unwrap();
                finished.recv().unwrap();
            })
        });
        let (left, term) = told.recv().unwrap();
        assert!(left.unwrap() <= Duration::from_millis(100));
        let guard = next.acquire_timeout(Duration::from_secs(60)).unwrap();
        assert!(guard.is_held() && !term.is_held());
        finish.send(()).unwrap();
    });
    assert!(!one.is_leader());
}
