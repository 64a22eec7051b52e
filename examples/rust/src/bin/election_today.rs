//! Leads term after term until it is stopped; the work of a term ends when it is told to.

use metaparticle_sync::{Candidate, Error, Options};

fn main() -> Result<(), Error> {
    let candidate = Candidate::open("example", &Options::new())?;
    candidate.lead("http://me:8080", |term| {
        println!("leading");
        candidate.stop(); // as a handler of SIGTERM would
        term.ending().wait();
        println!("not leading");
    })
}
