//! Every way in which the first crate could be used.
#![deny(warnings)]

#[macro_use]
extern crate metaparticle_sync as sync;

use std::process::{self, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Mutex};
use std::{env, panic, thread};
use sync::{Election, Handler, Lock, DEFAULT_BASE_URI};

struct Program<'a> {
    election: sync::Election<'a>,
}

// What it is made of follows from the type of one argument; it can be shown.
#[derive(Clone, Debug)]
struct Work {
    lock: sync::Lock,
}

fn work(name: &str) -> Work {
    let uri = DEFAULT_BASE_URI.to_string();
    let copy = Lock::new::<String>(name.into(), uri.clone(), 10);
    Work { lock: if copy.is_locked() { copy } else { Lock::new(name.into(), uri, 10) } }
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
    let lock = work("a").clone().lock;
    println!("{}", format!("{:?}", lock).contains("Lock"));
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
    // After a loss there is nothing to release, and nothing is said.
    lock.lock(|| {
        lose("a");
        lock.unlock();
    });
    // What the work throws comes out of the call, and the lock is free again.
    panic::set_hook(Box::new(|_| ()));
    let thrown = panic::catch_unwind(|| Lock::new("a", DEFAULT_BASE_URI, 10).lock(|| panic!()));
    let _ = panic::take_hook();
    println!("thrown {}", thrown.is_err());
    lock.lock(|| println!("after what was thrown"));
}

// Threads that run, follow and shut down.
fn threads() {
    let (tell, told) = mpsc::channel();
    let (finish, finished) = mpsc::channel::<()>();
    let leads = tell.clone();
    let leader = move || {
        leads.send("one leads").unwrap();
        finished.recv().unwrap();
    };
    let one = Election::new("e", DEFAULT_BASE_URI, Box::new(leader), Box::new(|| ()));
    let running = one.clone();
    let first = thread::spawn(move || running.run());
    println!("{} {}", told.recv().unwrap(), one.is_running());
    let leads = tell.clone();
    let other = elect!("e", move || leads.send("other leads").unwrap(), move || {
        tell.send("other follows").unwrap()
    });
    let running = other.clone();
    let second = thread::spawn(move || running.run());
    println!("{}", told.recv().unwrap());
    one.shutdown();
    finish.send(()).unwrap();
    first.join().unwrap();
    println!("{}", told.recv().unwrap());
    second.join().unwrap();
    println!("{} {}", one.is_running(), other.is_running());

    // Whichever of two threads comes first.
    for _ in 0..20 {
        let election = elect!("f", || (), || ());
        let running = election.clone();
        let thread = thread::spawn(move || running.run());
        election.shutdown();
        thread.join().unwrap();
    }
    println!("shut down");
}

// A handler that sets handlers, and one that shuts down.
fn handlers() {
    let mut election = elect!("g");
    let same = election.clone();
    let (tell, told) = mpsc::channel();
    election.add_handler(
        Handler::Leader,
        Box::new(move || {
            let (again, tell) = (same.clone(), tell.clone());
            let mut own = same.clone();
            own.add_handler(Handler::Follower, Box::new(move || {
                println!("replaced within");
                again.shutdown();
                tell.send(()).unwrap();
            }));
            lose("g");
            told.recv().unwrap();
        }),
    );
    election.run();
    println!("{}", election.is_running());
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
    let (tell, told) = mpsc::channel();
    let told = Mutex::new(told);
    let mut program = Program {
        election: sync::Election::new(
            "c",
            DEFAULT_BASE_URI,
            Box::new(|| println!("never: it is replaced")),
            Box::new(move || {
                println!("lost");
                tell.send(()).unwrap();
            }),
        ),
    };
    let handler = || {
        println!("leads");
        if terms.fetch_add(1, Ordering::SeqCst) == 1 {
            lose("c");
            told.lock().unwrap().recv().unwrap();
        }
    };
    program.election.add_handler(Handler::Leader, Box::new(handler));
    program.election.run();

    let mut empty = elect!("d");
    empty.add_handler(Handler::Leader, Box::new(|| process::exit(6)));
    empty.add_handler(Handler::Follower, Box::new(|| ()));
    empty.run()
}

fn main() {
    locks();
    threads();
    handlers();
    elections();
}
