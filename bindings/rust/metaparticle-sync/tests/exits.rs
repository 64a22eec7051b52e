//! A program that just ends, whatever is under way in it, leaves nothing held, and ends at once.

mod support;

use metaparticle_sync::Options;
use std::process::{exit, Command};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, thread};
use support::{candidate, lock};

/// The other process: it ends by `exit` while the candidate is in this state.
fn end_while(state: &str, options: &Options) -> ! {
    let _held = (state == "standing").then(|| lock(options).acquire().unwrap());
    let (tell, told) = mpsc::channel();
    let (one, standing) = (candidate(options), tell.clone());
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
    exit(7);
}

/// While it stands, leads and drains.
#[test]
fn exit_in_each_state() {
    let file = env::temp_dir().join(format!("mpsync-exits-{}.db", std::process::id()));
    if let (Ok(state), Ok(url)) = (env::var("EXITS_WHILE"), env::var("EXITS_AT")) {
        end_while(&state, &Options::new().url(url));
    }
    let url = format!("file:{}", file.display());
    for state in ["standing", "leading", "draining"] {
        let ended = Command::new(env::current_exe().unwrap())
            .args(["--exact", "exit_in_each_state"])
            .env("EXITS_WHILE", state)
            .env("EXITS_AT", &url)
            .output()
            .unwrap();
        assert_eq!(ended.status.code(), Some(7), "{state}: {ended:?}");
        let next = lock(&Options::new().url(&url).ttl(Duration::from_secs(3600)));
        assert!(next.acquire_timeout(Duration::from_secs(60)).is_ok(), "{state}");
    }
}
