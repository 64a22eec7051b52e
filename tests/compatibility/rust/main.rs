//! Every way in which the first crate could be used.
#![deny(warnings)]

#[macro_use]
extern crate metaparticle_sync as sync;

use std::env;
use std::process::{self, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use sync::{Handler, Lock, DEFAULT_BASE_URI};

struct Program<'a> {
    election: sync::Election<'a>,
}

fn lose(name: &str) {
    let mpsync = env::var("MPSYNC").unwrap();
    let mut command = Command::new(mpsync);
    command.arg("release").arg("--force").arg("--now").arg(name);
    assert!(command.output().unwrap().status.success());
}

// The macro is the last expression of a function without a result.
fn with_macro() {
    lock!("a", || println!("macro"))
}

fn locks() {
    println!("{}", DEFAULT_BASE_URI);
    let lock = Lock::new("a", DEFAULT_BASE_URI, 10);
    let same = lock.clone();
    lock.lock(|| println!("locked {}", same.is_locked()));
    lock.lock_with_retry(|| println!("with retry {}", same.is_locked()));
    lock.lock_with_retry_forever(|| {
        println!("for ever {}", same.is_locked());
        lock!("a").lock(|| println!("never: it is held"));
    });
    let () = lock.unlock();
    println!("{}", lock.is_locked());
    with_macro();
    lock.lock(|| lose("a"));
    lock.lock(|| println!("after a loss"));
}

fn elections() {
    // Closures that borrow.
    let terms = AtomicUsize::new(0);
    let leader = || {
        terms.fetch_add(1, Ordering::SeqCst);
        println!("leader");
    };
    let election = elect!("b", leader, || println!("follower"));
    println!("{}", election.is_running());
    election.shutdown();
    election.run();
    println!("{} {}", terms.load(Ordering::SeqCst), election.is_running());

    // A handler replaces the one before; after a loss it stands again.
    let program = Program {
        election: sync::Election::new(
            "c",
            DEFAULT_BASE_URI,
            Box::new(|| println!("never: it is replaced")),
            Box::new(|| println!("lost")),
        ),
    };
    let handler = || {
        println!("leads");
        if terms.fetch_add(1, Ordering::SeqCst) == 1 {
            lose("c");
            std::thread::sleep(std::time::Duration::from_secs(10));
        }
    };
    program.election.add_handler(Handler::Leader, Box::new(handler));
    program.election.run();

    let empty = elect!("d");
    empty.add_handler(Handler::Leader, Box::new(|| process::exit(6)));
    empty.add_handler(Handler::Follower, Box::new(|| ()));
    empty.run()
}

fn main() {
    locks();
    elections();
}
