//! A program that just ends, in whatever way and whatever is under way in it, leaves nothing held, and
//! ends as it would without.

mod support;

use metaparticle_sync::{Candidate, Lock, Options};
use std::os::unix::process::ExitStatusExt;
use std::process::{abort, exit, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, thread};
use support::{end_by, File, SIGKILL, SIGTERM};

const SIGABRT: i32 = 6;
const STATES: [&str; 3] = ["standing", "leading", "draining"];

/// How it ends, and how its parent sees that.
type Way = (&'static str, fn() -> (), fn(ExitStatus) -> bool);
const WAYS: [Way; 5] = [
    ("exit", || exit(7), |status| status.code() == Some(7)),
    ("panic", || panic!("the program's own"), |status| status.code() == Some(101)),
    ("abort", || abort(), |status| status.signal() == Some(SIGABRT)),
    ("SIGTERM", || end_by(SIGTERM), |status| status.signal() == Some(SIGTERM)),
    ("SIGKILL", || end_by(SIGKILL), |status| status.signal() == Some(SIGKILL)),
];

/// In the other process: returns when the candidate is in this state.
fn reach(state: &str, name: &str, options: &Options) {
    let (tell, told) = mpsc::channel();
    let (one, standing) = (Candidate::open(name, options).unwrap(), tell.clone());
    one.on_waiting(move |_| standing.send(()).unwrap());
    let leading = one.clone();
    let drains = state == "draining";
    thread::spawn(move || {
        leading.lead("", |term| {
            if drains {
                leading.stop();
                term.ending().wait();
            }
            tell.send(()).unwrap();
            thread::park();
        })
    });
    told.recv().unwrap();
}

/// While it stands, leads and drains.
#[test]
fn ends_of_every_kind_in_each_state() {
    if let (Ok(case), Ok(url)) = (env::var("ENDS"), env::var("ENDS_AT")) {
        let (state, way) = case.split_once(' ').unwrap();
        reach(state, &case, &Options::new().url(url));
        WAYS.iter().find(|(name, ..)| *name == way).unwrap().1();
    }
    let file = File::new();
    let url = file.url();
    let options = Options::new().url(&url).ttl(Duration::from_secs(3600));
    let cases = STATES.iter().flat_map(|state| WAYS.iter().map(move |way| (*state, way)));
    let started: Vec<_> = cases
        .map(|(state, way)| {
            let name = format!("{state} {}", way.0);
            let next = Lock::open(&name, &options).unwrap();
            let held = (state == "standing").then(|| next.acquire().unwrap());
            let ends = Command::new(env::current_exe().unwrap())
                .args(["--exact", "ends_of_every_kind_in_each_state"])
                .envs([("ENDS", &name), ("ENDS_AT", &url)])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            (name, way.2, next, held, ends)
        })
        .collect();
    for (name, is_so, next, held, mut ends) in started {
        let status = ends.wait().unwrap();
        assert!(is_so(status), "{name}: {status}");
        drop(held);
        assert!(next.acquire_timeout(Duration::from_secs(180)).is_ok(), "{name}");
    }
}
