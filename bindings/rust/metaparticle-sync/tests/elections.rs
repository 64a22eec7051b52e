//! Elections of the first API.

mod support;

use metaparticle_sync::{Election, Handler, Status};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Condvar, Mutex};
use std::thread;
use std::time::Duration;
use support::{brief, candidate, fresh, fresh_url, take_away};

/// A run ends when the leader's function returns; then the other leads, whose function panics at first.
#[test]
fn elections_take_over() {
    let options = fresh();
    let (tell, told) = mpsc::channel();
    let (finish, finished) = mpsc::channel::<()>();
    let mut first = Election::open("x", &options);
    let leads = tell.clone();
    first.add_handler(Handler::Leader, Box::new(|| unreachable!("it was replaced")));
    first.add_handler(
        Handler::Leader,
        Box::new(move || {
            leads.send("first leads").unwrap();
            finished.recv().unwrap();
        }),
    );
    let mut second = Election::open("x", &options);
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

/// A shutdown is told to the follower's function, and the term is kept until the leader's has
/// returned: the next leader waits for it.
#[test]
fn a_shutdown_drains() {
    let options = fresh();
    let (tell, told) = mpsc::channel();
    let (finish, finished) = mpsc::channel::<()>();
    let mut first = Election::open("x", &options);
    let (leads, follows) = (tell.clone(), tell.clone());
    first.add_handler(
        Handler::Leader,
        Box::new(move || {
            leads.send("leads").unwrap();
            finished.recv().unwrap();
            leads.send("has ended").unwrap();
        }),
    );
    first.add_handler(Handler::Follower, Box::new(move || follows.send("is told").unwrap()));
    let next = candidate(&options);
    thread::scope(|scope| {
        let own = first.clone();
        scope.spawn(move || own.run());
        assert_eq!(told.recv(), Ok("leads"));
        scope.spawn(|| {
            next.lead("", |_| {
                tell.send("next").unwrap();
                next.stop();
            })
        });
        first.shutdown();
        assert_eq!(told.recv(), Ok("is told"));
        assert_eq!(told.recv_timeout(Duration::from_millis(100)).ok(), None);
        finish.send(()).unwrap();
        assert_eq!((told.recv(), told.recv()), (Ok("has ended"), Ok("next")));
    });
}

/// Whatever ends a term, each call of the leader's function is followed by one of the follower's.
#[test]
fn one_call_of_each_for_each_term() {
    let url = &fresh_url();
    let leads = AtomicUsize::new(0);
    let calls = (Mutex::new(0), Condvar::new());
    let mut election = Election::open("x", &brief(url));
    election.add_handler(
        Handler::Follower,
        Box::new(|| {
            *calls.0.lock().unwrap() += 1;
            calls.1.notify_all();
        }),
    );
    let own = election.clone();
    let (leads, calls) = (&leads, &calls);
    election.add_handler(
        Handler::Leader,
        Box::new(move || {
            let term = leads.fetch_add(1, Ordering::SeqCst);
            assert_eq!(*calls.0.lock().unwrap(), term, "all earlier ones are over");
            match term {
                0 => take_away(url),
                1 => panic!("a handler"),
                _ => own.shutdown(),
            }
            let told = calls.1.wait_while(calls.0.lock().unwrap(), |calls| *calls == term);
            drop(told.unwrap());
        }),
    );
    assert_eq!(election.try_run(), Ok(()));
    assert_eq!((leads.load(Ordering::SeqCst), *calls.0.lock().unwrap()), (3, 3));
    election.add_handler(Handler::Leader, Box::new(|| ())); // which has no copy of its election
}

/// Two threads do not know which call comes first: a shutdown ends the run in either order.
#[test]
fn a_shutdown_beside_the_begin() {
    for _ in 0..100 {
        let election = Election::open("x", &fresh());
        let own = election.clone();
        let running = thread::spawn(move || own.try_run());
        election.shutdown();
        assert_eq!(running.join().unwrap(), Ok(()));
    }
}

/// A handler may set handlers, shut down, and try to run again.
#[test]
fn calls_from_inside_a_handler() {
    let mut election = Election::open("x", &fresh());
    let mut own = election.clone();
    let (tell, told) = mpsc::channel();
    election.add_handler(
        Handler::Leader,
        Box::new(move || {
            tell.send(own.try_run().unwrap_err().status()).unwrap();
            own.add_handler(Handler::Follower, Box::new(|| ()));
            own.add_handler(Handler::Leader, Box::new(|| ()));
            panic!("so that it stands again");
        }),
    );
    assert_eq!(election.try_run(), Ok(()));
    assert_eq!(told.recv(), Ok(Status::AlreadyHeld));
}
