//! The runner of the conformance scenarios over the Rust crate; see README.md.

use metaparticle_sync::{Candidate, Error, Guard, Lock, Options};
use std::collections::HashMap;
use std::io::BufRead;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{fs, thread};

#[derive(Clone)]
enum Claimant {
    Lock(Lock),
    Candidate(Candidate),
}

#[derive(Clone)]
struct Handle {
    key: String,
    claimant: Claimant,
    guard: Arc<Mutex<Option<Guard>>>,
}

fn now_ns() -> String {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos()
        .to_string()
}

fn tell(words: &[&str]) {
    println!("{}", words.join("\t"));
}

fn tell_error(key: &str, error: &Error) {
    if error.is_busy() {
        tell(&[key, "busy"]);
    } else {
        tell(&[key, "error", &(error.status() as i32).to_string()]);
    }
}

fn tell_result(key: &str, result: Result<(), Error>, word: &str) {
    match result {
        Ok(()) => tell(&[key, word]),
        Err(error) => tell_error(key, &error),
    }
}

fn make(verb: &str, key: &str, name: &str, ttl: &str) -> Result<Handle, Error> {
    let mut options = Options::new();
    if ttl != "-" {
        options = options.set("ttl", ttl);
    }
    let claimant = if verb == "lock" {
        Claimant::Lock(Lock::open(name, &options)?)
    } else {
        Claimant::Candidate(Candidate::open(name, &options)?)
    };
    Ok(Handle {
        key: key.to_owned(),
        claimant,
        guard: Arc::default(),
    })
}

impl Handle {
    fn take(&self, value: &str, wait_ms: &str) -> Result<Guard, Error> {
        match (&self.claimant, wait_ms.parse()) {
            (Claimant::Lock(lock), Ok(ms)) => lock.acquire_timeout(Duration::from_millis(ms)),
            (Claimant::Lock(lock), Err(_)) => lock.acquire(),
            (Claimant::Candidate(candidate), Ok(ms)) => {
                candidate.campaign_timeout(value, Duration::from_millis(ms))
            }
            (Claimant::Candidate(candidate), Err(_)) => candidate.campaign(value),
        }
    }

    fn acquire(self, value: &str, wait_ms: &str) {
        match self.take(value, wait_ms) {
            Ok(guard) => {
                let lost = guard.lost();
                tell(&[&self.key, "held", &guard.token().to_string()]);
                *self.guard.lock().unwrap() = Some(guard);
                let key = self.key.clone();
                drop(self);
                if lost.wait().is_some() {
                    tell(&[&key, "lost"]);
                }
            }
            Err(error) => tell_error(&self.key, &error),
        }
    }

    fn release(&self) {
        let result = match &self.claimant {
            Claimant::Lock(lock) => lock.release(),
            Claimant::Candidate(candidate) => candidate.resign(),
        };
        tell_result(&self.key, result, "released");
    }

    fn is_held(&self) -> bool {
        match &self.claimant {
            Claimant::Lock(lock) => lock.is_locked(),
            Claimant::Candidate(candidate) => candidate.is_leader(),
        }
    }

    fn cancel(&self) {
        match &self.claimant {
            Claimant::Lock(lock) => lock.canceller().unwrap().cancel(),
            Claimant::Candidate(candidate) => candidate.canceller().cancel(),
        }
    }

    fn candidate(&self) -> &Candidate {
        match &self.claimant {
            Claimant::Candidate(candidate) => candidate,
            Claimant::Lock(_) => panic!("{} is a lock", self.key),
        }
    }

    fn leader(&self) {
        match self.candidate().leader() {
            Ok(Some(leader)) => {
                let value = leader.value.unwrap_or_default();
                tell(&[
                    &self.key,
                    "leader",
                    &leader.holder,
                    &value,
                    &leader.token.to_string(),
                ]);
            }
            Ok(None) => tell(&[&self.key, "leader", "-"]),
            Err(error) => tell_error(&self.key, &error),
        }
    }

    fn observe(self) {
        for seen in self.candidate().observe().unwrap() {
            match seen {
                Some(leader) => {
                    let value = leader.value.unwrap_or_default();
                    tell(&[&self.key, "sees", &leader.holder, &value]);
                }
                None => tell(&[&self.key, "sees", "-"]),
            }
        }
    }

    fn lock(&self) -> &Lock {
        match &self.claimant {
            Claimant::Lock(lock) => lock,
            Claimant::Candidate(_) => panic!("{} is no lock", self.key),
        }
    }

    fn speed(self, times: &str) {
        let guard = self.lock().acquire().unwrap();
        let times: u32 = times.parse().unwrap();
        let began = Instant::now();
        for _ in 0..times {
            assert!(std::hint::black_box(&guard).is_held());
        }
        let each = began.elapsed().as_nanos() / u128::from(times);
        tell(&[&self.key, "ns", &each.to_string()]);
    }

    fn pass(self, times: &str) {
        let mut seen = vec![self.key.clone(), "times".to_owned()];
        for _ in 0..times.parse().unwrap() {
            let guard = self.lock().acquire().unwrap();
            seen.push(now_ns());
            thread::sleep(Duration::from_millis(3));
            seen.push(now_ns());
            drop(guard);
            thread::sleep(Duration::from_millis(1));
        }
        tell(&seen.iter().map(String::as_str).collect::<Vec<_>>());
    }

    fn count(self, file: &str, times: &str) {
        for _ in 0..times.parse().unwrap() {
            let guard = self.lock().acquire().unwrap();
            let number: u64 = fs::read_to_string(file).unwrap().trim().parse().unwrap();
            fs::write(file, (number + 1).to_string()).unwrap();
            tell(&[&self.key, "turn", &guard.token().to_string()]);
        }
        tell(&[&self.key, "done"]);
    }
}

fn obey(handles: &mut HashMap<String, Handle>, words: &[String]) {
    let (verb, key) = (words[0].as_str(), words[1].as_str());
    if verb == "lock" || verb == "election" {
        match make(verb, key, &words[2], &words[3]) {
            Ok(handle) => {
                handles.insert(key.to_owned(), handle);
                tell(&[key, "ok"]);
            }
            Err(error) => tell_error(key, &error),
        }
        return;
    }
    let handle = handles[key].clone();
    let words = words.to_vec();
    match verb {
        "acquire" => drop(thread::spawn(move || handle.acquire("", &words[2]))),
        "campaign" => drop(thread::spawn(move || handle.acquire(&words[2], &words[3]))),
        "observe" => drop(thread::spawn(move || handle.observe())),
        "count" => drop(thread::spawn(move || handle.count(&words[2], &words[3]))),
        "speed" => drop(thread::spawn(move || handle.speed(&words[2]))),
        "pass" => drop(thread::spawn(move || handle.pass(&words[2]))),
        "cancel" => handle.cancel(),
        "release" => handle.release(),
        "held" => tell(&[key, if handle.is_held() { "yes" } else { "no" }]),
        "value" => tell_result(key, handle.candidate().set_value(&words[2]), "done"),
        "leader" => handle.leader(),
        "drop" => {
            drop(handle);
            handles.remove(key);
            tell(&[key, "dropped"]);
        }
        _ => panic!("{verb} is not known"),
    }
}

fn main() {
    let mut handles = HashMap::new();
    for line in std::io::stdin().lock().lines() {
        let words: Vec<String> = line.unwrap().split('\t').map(str::to_owned).collect();
        obey(&mut handles, &words);
    }
}
