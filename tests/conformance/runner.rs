//! The runner of the conformance scenarios over the Rust crate; see README.md.

#![allow(unsafe_code)]

use metaparticle_sync::{Candidate, Client, Error, Guard, Lock, Options, Term, DEFAULT_BASE_URI};
use std::collections::HashMap;
use std::future::{poll_fn, Future};
use std::io::BufRead;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{mpsc, Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{fs, process};

#[derive(Clone)]
enum Claimant {
    Lock(Lock),
    Candidate(Candidate),
}

/// Ends a wait by dropping its future.
#[derive(Default)]
struct Cut(Mutex<(bool, Option<Waker>)>);

impl Cut {
    fn begin(&self) {
        self.0.lock().unwrap().0 = false;
    }

    fn cut(&self) {
        let mut cut = self.0.lock().unwrap();
        cut.0 = true;
        if let Some(waker) = cut.1.take() {
            waker.wake();
        }
    }

    /// `None` when it was cut, with which the future is gone.
    async fn or<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|context| {
            let mut cut = self.0.lock().unwrap();
            if std::mem::take(&mut cut.0) {
                return Poll::Ready(None);
            }
            cut.1 = Some(context.waker().clone());
            drop(cut);
            future.as_mut().poll(context).map(Some)
        })
        .await
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Arc::new(Unpark(thread::current())).into();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

extern "C" {
    fn fork() -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    fn _exit(code: i32) -> !;
}

#[derive(Clone)]
struct Handle {
    key: String,
    claimant: Claimant,
    guard: Arc<Mutex<Option<Guard>>>,
    cut: Arc<Cut>,
    done: Arc<Mutex<Option<mpsc::Sender<bool>>>>, // while work is under way
    token: Arc<AtomicU64>,                        // of its term
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

fn make(client: &Client, words: &[String]) -> Result<Handle, Error> {
    let [verb, key, name, ttl] = words else {
        panic!("{words:?}");
    };
    let mut options = Options::new().client(client);
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
        cut: Arc::default(),
        done: Arc::default(),
        token: Arc::default(),
    })
}

impl Handle {
    /// Without a limit as a future, which can be cut short.
    fn take(&self, value: &str, wait_ms: &str) -> Option<Result<Guard, Error>> {
        let limit = wait_ms.parse().map(Duration::from_millis);
        match (&self.claimant, limit) {
            (Claimant::Lock(lock), Ok(limit)) => Some(lock.acquire_timeout(limit)),
            (Claimant::Lock(lock), Err(_)) => block_on(self.cut.or(lock.acquire_async())),
            (Claimant::Candidate(candidate), Ok(limit)) => {
                Some(candidate.campaign_timeout(value, limit))
            }
            (Claimant::Candidate(candidate), Err(_)) => {
                block_on(self.cut.or(candidate.campaign_async(value)))
            }
        }
    }

    fn acquire(self, value: &str, wait_ms: &str) {
        match self.take(value, wait_ms) {
            None => tell(&[&self.key, "cut"]),
            Some(Ok(guard)) => {
                let lost = guard.lost();
                tell(&[&self.key, "held", &guard.token().to_string()]);
                *self.guard.lock().unwrap() = Some(guard);
                let key = self.key.clone();
                drop(self);
                if lost.wait().is_some() {
                    tell(&[&key, "lost"]);
                }
            }
            Some(Err(error)) => tell_error(&self.key, &error),
        }
    }

    fn lead(self, value: &str) {
        let led = self.candidate().lead(value, |term| self.work(term));
        tell_result(&self.key, led, "over");
    }

    /// One term: until it is told `done`.
    fn work(&self, term: &Term) -> Result<(), &'static str> {
        let (tell_done, done) = mpsc::channel();
        let token = term.token();
        let at_work = Arc::clone(&self.token);
        // Before there is work to be done: what has waited for the former term's end tells nothing of this one.
        at_work.store(token, Ordering::SeqCst);
        *self.done.lock().unwrap() = Some(tell_done);
        tell(&[&self.key, "term", &token.to_string()]);
        let (key, ending, done_place) = (self.key.clone(), term.ending(), Arc::clone(&self.done));
        thread::spawn(move || {
            let end = ending.wait();
            let left = end
                .left
                .map_or("all", |left| if left.is_zero() { "none" } else { "some" });
            let at_work_still = done_place.lock().unwrap();
            if at_work_still.is_some() && at_work.load(Ordering::SeqCst) == token {
                tell(&[&key, "ending", &end.reason.to_string(), left]);
            }
        });
        let good = done.recv().unwrap();
        good.then_some(()).ok_or("it was told to")
    }

    fn tell_done(&self, good: bool) {
        if let Some(done) = self.done.lock().unwrap().take() {
            done.send(good).unwrap();
        }
    }

    fn resign(&self) {
        if let Err(error) = self.candidate().resign() {
            tell_error(&self.key, &error);
        }
    }

    fn waits(&self) {
        let key = self.key.clone();
        let told = move |waiting: &metaparticle_sync::Waiting| {
            let holder = waiting.holder.as_deref().unwrap_or("-");
            tell(&[&key, "waits", holder, &waiting.position.to_string()])
        };
        match &self.claimant {
            Claimant::Lock(lock) => lock.on_waiting(told),
            Claimant::Candidate(candidate) => candidate.on_waiting(told),
        }
    }

    fn fork(&self) {
        let mut status = 0;
        // SAFETY: the child calls nothing but what the package promises to it.
        unsafe {
            let child = fork();
            if child == 0 {
                _exit(i32::from(self.is_held()));
            }
            waitpid(child, &mut status, 0);
        }
        tell(&[&self.key, "child", if status == 0 { "no" } else { "yes" }]);
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

fn obey(client: &Client, handles: &mut HashMap<String, Handle>, words: &[String]) {
    let (verb, key) = (words[0].as_str(), words.get(1).map_or("0", String::as_str));
    match verb {
        "lock" | "election" => {
            match make(client, words) {
                Ok(handle) => {
                    handles.insert(key.to_owned(), handle);
                    tell(&[key, "ok"]);
                }
                Err(error) => tell_error(key, &error),
            }
            return;
        }
        "close" => {
            client.close();
            return tell(&["0", "closed"]);
        }
        "exit" => process::exit(0),
        _ => {}
    }
    let handle = handles[key].clone();
    let words = words.to_vec();
    match verb {
        "acquire" => {
            handle.cut.begin();
            thread::spawn(move || handle.acquire("", &words[2]));
        }
        "campaign" => drop(thread::spawn(move || handle.acquire(&words[2], &words[3]))),
        "lead" => drop(thread::spawn(move || handle.lead(&words[2]))),
        "observe" => drop(thread::spawn(move || handle.observe())),
        "count" => drop(thread::spawn(move || handle.count(&words[2], &words[3]))),
        "speed" => drop(thread::spawn(move || handle.speed(&words[2]))),
        "pass" => drop(thread::spawn(move || handle.pass(&words[2]))),
        "done" => handle.tell_done(words.len() < 3),
        "stop" => handle.candidate().stop(),
        "resign" => handle.resign(),
        "waits" => handle.waits(),
        "cut" => handle.cut.cut(),
        "cancel" => handle.cancel(),
        "release" => handle.release(),
        "fork" => handle.fork(),
        "held" => tell(&[key, if handle.is_held() { "yes" } else { "no" }]),
        "value" => tell_result(key, handle.candidate().set_value(&words[2]), "done"),
        "leader" => handle.leader(),
        "collect" => {
            drop(handle.guard.lock().unwrap().take());
            tell(&[key, "collected"]);
        }
        "drop" => {
            drop(handle);
            handles.remove(key);
            tell(&[key, "dropped"]);
        }
        _ => panic!("{verb} is not known"),
    }
}

fn main() {
    let url = std::env::var("MPSYNC_URL");
    let client = Client::open(url.as_deref().unwrap_or(DEFAULT_BASE_URI)).unwrap();
    let mut handles = HashMap::new();
    for line in std::io::stdin().lock().lines() {
        let words: Vec<String> = line.unwrap().split('\t').map(str::to_owned).collect();
        obey(&client, &mut handles, &words);
    }
    client.close();
}
