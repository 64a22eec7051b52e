//! The macros, as programs of edition 2015 import them.

#[macro_use]
extern crate metaparticle_sync;

use metaparticle_sync::{Handler, DEFAULT_BASE_URI};

/// The default URL counts as not given, so the environment says where.
#[test]
fn macros() {
    assert_eq!(DEFAULT_BASE_URI, "http://localhost:13131");
    std::env::set_var("MPSYNC_URL", "memory:edition");
    lock!("x", || assert!(lock!("x").try_acquire().is_err()));
    let lock = lock!("x");
    assert_eq!(lock.run(|| lock.is_locked()), Ok(true));
    let (tell, told) = std::sync::mpsc::channel();
    let mut election = elect!("y", move || tell.send(()).unwrap(), || ());
    election.add_handler(Handler::Follower, Box::new(|| ()));
    let own = election.clone();
    let thread = std::thread::spawn(move || own.run());
    told.recv().unwrap();
    election.shutdown();
    thread.join().unwrap();
    assert!(!elect!("z").is_running());
}
