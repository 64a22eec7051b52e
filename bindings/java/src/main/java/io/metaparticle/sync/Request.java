package io.metaparticle.sync;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;

/** A call under way, for a thread or a future to wait for. */
class Request {
  /** Completed by the client's thread, so nothing of the program may hang on it directly. */
  final CompletableFuture<Event> ended = new CompletableFuture<>();

  /** Called by the client's thread for what comes before the end. */
  void progress(Event event) {}

  /** Called by the client's thread, once. */
  void end(Event event) {
    ended.complete(event);
  }

  void awaitEnd() {
    ended.join();
  }

  void awaitEndInterruptibly() throws InterruptedException {
    try {
      ended.get();
    } catch (ExecutionException e) {
      throw new AssertionError(e); // it never completes so
    }
  }

  /** The event that ended it, or the exception that it stands for. */
  Event result() {
    Event event = ended.join();
    SyncException failure = event.failure();
    if (failure != null) {
      throw failure;
    }
    return event;
  }
}
