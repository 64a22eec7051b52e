//! A child of fork believes nothing of what its parent has, and has a client of its own.

mod support;

use metaparticle_sync::{Candidate, Options, Status};
use std::future::pending;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use support::{block_on, candidate, drive, is_so_in_a_child, lock, File};

/// While it holds, waits, stands, leads and drains, and while other threads open, wait and close.
#[test]
fn fork_in_each_state() {
    let file = File::new();
    let options = Options::new().url(file.url());
    let (one, waiting) = (lock(&options), lock(&options));
    let mut guard = Some(one.acquire().unwrap());
    let leader = Candidate::open("y", &options).unwrap();
    let (standing, draining) = (candidate(&options), Candidate::open("z", &options).unwrap());
    let (tell, drains) = mpsc::channel();
    let (finish, finished) = mpsc::channel::<()>();
    let thread = thread::spawn({
        let draining = draining.clone();
        move || {
            draining.lead("", |term| {
                draining.stop();
                tell.send(term.ending().wait()).unwrap();
                finished.recv().unwrap();
            })
        }
    });
    drains.recv().unwrap();
    let mut stands = pin!(standing.lead_async("", |_| pending::<()>()));
    drive(stands.as_mut(), || true);
    let mut asking = pin!(waiting.acquire_async());
    let mut leading = pin!(leader.lead_async("", |_| pending::<()>()));
    drive(asking.as_mut(), || true);
    drive(leading.as_mut(), || leader.is_leader());
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let busy = lock(&options);
                drop(busy.try_acquire());
                drop(busy.acquire_timeout(Duration::from_millis(1)));
                drop(lock(&Options::new().url("memory:fork")).acquire());
            }
        });
        for _ in 0..5 {
            assert!(is_so_in_a_child(|| {
                let asked = one.acquire().unwrap_err().status();
                let awaited = block_on(asking.as_mut()).unwrap_err().status();
                assert_eq!((asked, awaited), (Status::Forked, Status::Forked));
                let held = guard.take().unwrap();
                assert!(!held.is_held() && held.lost().wait().is_none() && !leader.is_leader());
                drop(held);
                let run = block_on(stands.as_mut()).unwrap_err().status();
                for one in [&standing, &leader, &draining] {
                    one.stop();
                    assert_eq!(one.lead("", |_| ()).unwrap_err().status(), Status::Forked);
                    assert!(!one.is_leader());
                }
                assert_eq!(run, Status::Forked);
                lock(&options).try_acquire().unwrap_err().is_busy()
            }));
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(guard.unwrap().is_held() && leader.is_leader() && draining.is_leader());
    finish.send(()).unwrap();
    assert_eq!(thread.join().unwrap(), Ok(()));
}
