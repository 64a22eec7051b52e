//! A program of the first Metaparticle Sync: one leads.

extern crate metaparticle_sync;

use metaparticle_sync::{Election, DEFAULT_BASE_URI};
use std::sync::mpsc;
use std::thread;

fn main() {
    let (tell, told) = mpsc::channel();
    let leading = move || {
        println!("leading");
        tell.send(()).unwrap();
    };
    let not_leading = || println!("not leading");
    let election =
        Election::new("example", DEFAULT_BASE_URI, Box::new(leading), Box::new(not_leading));
    let running = election.clone();
    let thread = thread::spawn(move || running.run());
    told.recv().unwrap();
    election.shutdown();
    thread.join().unwrap();
}
