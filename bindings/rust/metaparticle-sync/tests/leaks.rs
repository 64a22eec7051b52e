//! When the last user of a client is gone, so are its threads and descriptors, and all wakers.

mod support;

use metaparticle_sync::{Client, Options};
use std::future::{pending, Future};
use std::pin::{pin, Pin};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};
use support::{block_on, candidate, drive, fresh_url, lock, File, Nobody};

fn count(folder: &str) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

/// Threads and descriptors of this process.
fn present() -> (usize, usize) {
    (count("/proc/self/task"), count("/proc/self/fd"))
}

fn use_all(options: &Options, nobody: &Arc<Nobody>) {
    let waker = Waker::from(Arc::clone(nobody));
    let mut context = Context::from_waker(&waker);
    let (one, waiting) = (lock(options), lock(options));
    waiting.on_waiting(|_| ());
    let guard = one.acquire().unwrap();
    drop(waiting.acquire_timeout(Duration::from_millis(1)));
    let mut asking = pin!(waiting.acquire_async());
    assert!(asking.as_mut().poll(&mut context).is_pending());
    let mut lost = guard.lost();
    assert!(Pin::new(&mut lost).poll(&mut context).is_pending());
    drop(lost);
    let standing = candidate(options);
    let mut seen = standing.observe().unwrap();
    seen.next().unwrap();
    assert!(pin!(seen.changed()).poll(&mut context).is_pending());
    drop(guard);
    drop(block_on(asking).unwrap());
    let leading = standing.lead_async("", |_| pending::<()>());
    drive(pin!(leading), || standing.is_leader());
}

/// Also where a request, a run and an observation are under way when they are dropped.
#[test]
fn nothing_is_left() {
    let file = File::new();
    let url = file.url();
    let nobody = Arc::new(Nobody);
    use_all(&Options::new().url(&url), &nobody);
    let before = present();
    for _ in 0..10 {
        use_all(&Options::new().url(&url), &nobody);
        use_all(&Options::new().url(fresh_url()), &nobody);
        let closed = Client::open(&url).unwrap();
        use_all(&Options::new().client(&closed), &nobody);
        closed.close();
    }
    let began = Instant::now();
    while present().0 > 2 || present().1 > before.1 {
        assert!(began.elapsed() < Duration::from_secs(180), "{:?}, {before:?} before", present());
        thread::yield_now();
    }
    assert_eq!(Arc::strong_count(&nobody), 1);
}
