//! One leads, until its term is lost or given back.

use metaparticle_sync::{Candidate, Error, Options};

fn main() -> Result<(), Error> {
    let candidate = Candidate::open("example", &Options::new())?;
    let term = candidate.campaign("http://me:8080")?;
    println!("leading");
    term.release()?;
    println!("not leading");
    Ok(())
}
