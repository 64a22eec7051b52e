package io.metaparticle.sync;

import java.util.concurrent.CompletableFuture;

/** A call under way, for a thread or a future to wait for. */
class Request {
  /** Completed by who reads the event, so nothing of the program may hang on it directly. */
  final CompletableFuture<Event> ended = new CompletableFuture<>();

  final void take(Event event) {
    if (event.goesOn()) {
      progress(event);
    } else {
      end(event);
    }
  }

  /** Called by who reads the event, for what comes before the end. */
  void progress(Event event) {}

  /** Called by who reads the event, once. */
  void end(Event event) {
    ended.complete(event);
  }

  /** The event that ended it, or the exception that it stands for. */
  Event result() {
    Event event = ended.join();
    RuntimeException failure = event.failure();
    if (failure != null) {
      throw failure;
    }
    return event;
  }
}
