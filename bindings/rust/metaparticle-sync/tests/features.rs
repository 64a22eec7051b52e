//! What the features add.
#![cfg(all(feature = "stream", feature = "tracing"))]

mod support;

use futures_core::Stream;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::mpsc;
use std::sync::Mutex;
use std::time::Duration;
use support::{block_on, brief, candidate, fresh_url, lock, take_away};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// An observer is a stream, which ends with its client.
#[test]
fn an_observer_is_a_stream() {
    let client = metaparticle_sync::Client::open("memory:stream").unwrap();
    let one = candidate(&metaparticle_sync::Options::new().client(&client));
    block_on(async {
        let mut seen = pin!(one.observe().unwrap().changes());
        assert_eq!(poll_fn(|context| seen.as_mut().poll_next(context)).await, Some(None));
        let term = one.campaign_async("value").await.unwrap();
        let leader = poll_fn(|context| seen.as_mut().poll_next(context)).await.unwrap().unwrap();
        assert_eq!((leader.value.as_deref(), leader.token), (Some("value"), term.token()));
        term.release_async().await.unwrap();
        assert_eq!(poll_fn(|context| seen.as_mut().poll_next(context)).await, Some(None));
        client.close();
        assert_eq!(poll_fn(|context| seen.as_mut().poll_next(context)).await, None);
        assert_eq!(poll_fn(|context| seen.as_mut().poll_next(context)).await, None);
    });
}

/// Sends each event as a line.
struct Lines(Mutex<mpsc::Sender<String>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0 += &format!(" {}={value:?}", field.name());
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        let _ = self.0.lock().unwrap().send(line.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Grants, losses, work that failed, and guards that were dropped while somebody waits for their
/// loss: each names the lock.
#[test]
fn what_is_traced() {
    let (tell, told) = mpsc::channel();
    tracing::subscriber::set_global_default(Lines(Mutex::new(tell))).unwrap();
    let wait_for = |parts: &[&str]| {
        let is_meant = |line: &String| parts.iter().all(|part| line.contains(part));
        while !is_meant(&told.recv_timeout(Duration::from_secs(60)).expect(parts[0])) {}
    };
    let url = fresh_url();
    let options = brief(&url);
    let guard = lock(&options).acquire().unwrap();
    wait_for(&["DEBUG", "held", "name=\"x\"", &format!("token={}", guard.token())]);
    let lost = guard.lost();
    drop(guard);
    wait_for(&["WARN", "\"x\" was released, as its guard was dropped"]);
    assert!(lost.wait().is_some());
    let guard = lock(&options).acquire().unwrap();
    take_away(&url);
    wait_for(&["WARN", "lost", "name=\"x\"", "reason="]);
    drop(guard);
    let one = candidate(&options);
    let led = one.lead("", |_| {
        one.stop();
        Err::<(), _>("no luck")
    });
    assert_eq!(led, Ok(()));
    wait_for(&["WARN", "\"x\": the work of its term failed: no luck"]);
}
