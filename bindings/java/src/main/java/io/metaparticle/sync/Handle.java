package io.metaparticle.sync;

import io.metaparticle.sync.internal.Native;
import io.metaparticle.sync.internal.SWIGTYPE_p_mpsync_election;
import io.metaparticle.sync.internal.mpsync_event_type;
import java.lang.ref.Reference;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import java.util.function.Supplier;

/**
 * A native lock or election, and its present grant. Freed when nobody has it any more, and so never
 * while one of its methods runs.
 */
final class Handle {
  final Connection connection;
  final String name;
  private final SWIGTYPE_p_mpsync_election own; // or a lock: see mpsync_handle_new
  private final Runnable leave;
  private final AtomicBoolean used = new AtomicBoolean();
  private final Callbacks.InOrder waitings = new Callbacks.InOrder();
  private volatile Held present;
  private Taking latest; // what asks for the name, or asked last; guarded by this
  private boolean closed; // guarded by this
  private volatile BiConsumer<Held, LockLostException> onLost = (held, lost) -> {};
  private volatile Consumer<Waiting> onWaiting;

  private Handle(Connection connection, String name, boolean isElection, Options options) {
    this.connection = connection;
    this.name = name;
    AtomicBoolean left = new AtomicBoolean();
    leave =
        () -> {
          if (left.compareAndSet(false, true)) {
            connection.leave();
          }
        };
    try {
      byte[] bytes = Calls.utf8("name", name);
      own =
          options.with(
              set ->
                  connection.with(
                      client -> Native.mpsync_handle_new(client, bytes, set, isElection ? 1 : 0)));
    } catch (RuntimeException e) {
      leave.run();
      throw e;
    }
    Connection.CLEANER.register(this, new Freeing(own, leave));
  }

  private record Freeing(SWIGTYPE_p_mpsync_election own, Runnable leave) implements Runnable {
    @Override
    public void run() {
      Native.mpsync_election_free(own);
      leave.run();
    }
  }

  /** Takes over the caller's use of the connection. */
  static Handle lock(Connection connection, String name, Options options) {
    return new Handle(connection, name, false, options);
  }

  static Handle election(Connection connection, String name, Options options) {
    return new Handle(connection, name, true, options);
  }

  void onLost(BiConsumer<Held, LockLostException> listener) {
    onLost = listener;
  }

  void onWaiting(Consumer<Waiting> listener) {
    onWaiting = listener;
  }

  /** Whether it was free for the caller's request, and now is not. */
  boolean claim() {
    return used.compareAndSet(false, true);
  }

  /** The present grant, or null. */
  Held present() {
    return present;
  }

  boolean isHeld() {
    Held held = present;
    return held != null && held.isHeld();
  }

  /** The present grant, which is no longer present then; null without one. */
  synchronized Held takePresent() {
    Held held = present;
    present = null;
    return held;
  }

  synchronized void hide(Held held) {
    if (present == held) {
      present = null;
    }
  }

  void forget(Held held) {
    hide(held);
    connection.forget(held.grant);
    used.set(false);
  }

  void begin(Held held) {
    present = held;
    connection.hold(held.grant, held);
    held.lookForLoss(); // LOST may have been read before
  }

  void lost(Held held, LockLostException lost) {
    onLost.accept(held, lost);
  }

  /** What every request of this handle tells before its end. */
  void tell(Event event) {
    if (event.type() == mpsync_event_type.MPSYNC_EVENT_LOG) {
      Callbacks.warn(event.message());
    } else if (onWaiting != null && event.type() == mpsync_event_type.MPSYNC_EVENT_WAITING) {
      waitings.tell(() -> onWaiting.accept(event.waiting()));
    }
  }

  /** A request that makes its Held where its event is read, before anybody is told. */
  private final class Taking extends Request {
    private long number;
    private Held held;
    private boolean withdrawn;

    @Override
    void progress(Event event) {
      tell(event);
    }

    @Override
    void end(Event event) {
      synchronized (this) {
        if (event.status() == 0 && !withdrawn) {
          held = new Held(Handle.this, event.grant(), event.token(), false);
          begin(held);
        } else {
          used.set(false);
        }
      }
      super.end(event);
    }

    Held taken() {
      result();
      return held;
    }

    /** Leave nothing of it, whatever has become of it. */
    void withdraw() {
      Held granted;
      synchronized (this) {
        withdrawn = true;
        granted = held;
      }
      fencedUnlessClosed(() -> Native.mpsync_election_withdraw(own, number));
      if (granted != null) {
        granted.forget();
      }
    }
  }

  private LongConsumer start(Taking request, String value, long waitMs) {
    byte[] bytes = value == null ? null : Calls.utf8("value", value);
    return number -> {
      request.number = number;
      fenced(() -> Native.mpsync_election_campaign_start(own, number, bytes, waitMs));
    };
  }

  RuntimeException closed() {
    return SyncException.of(SyncException.CLOSED, "\"" + name + "\" is closed");
  }

  /** Make what asks for the name, unless this is closed, which takes it back. */
  private synchronized <T> T begin(Taking request, Supplier<T> call) {
    if (closed) {
      used.set(false);
      throw closed();
    }
    try {
      T begun = call.get();
      latest = request;
      return begun;
    } catch (RuntimeException e) {
      used.set(false);
      throw e;
    }
  }

  private Wait begun(Taking request, String value, long waitMs) {
    return begin(request, () -> new Wait(connection, request, start(request, value, waitMs)));
  }

  Held take(String value, long waitMs) {
    Taking request = new Taking();
    begun(request, value, waitMs).awaitEnd();
    return request.taken();
  }

  Held takeInterruptibly(String value, long waitMs) throws InterruptedException {
    if (Thread.interrupted()) {
      used.set(false);
      throw new InterruptedException();
    }
    Taking request = new Taking();
    begun(request, value, waitMs).awaitEndInterruptibly(number -> request.withdraw());
    return request.taken();
  }

  /** However the future ends, other than with what it was made for, the request is withdrawn. */
  CompletableFuture<Held> takeAsync(String value, long waitMs) {
    Taking request = new Taking();
    begin(request, () -> connection.start(request, start(request, value, waitMs)));
    CompletableFuture<Held> future = new CompletableFuture<>();
    future.whenComplete(
        (held, failure) -> {
          if (held == null || held != request.held) {
            request.withdraw();
          }
        });
    request.ended.thenRunAsync(
        () -> {
          try {
            future.complete(request.taken());
          } catch (RuntimeException e) {
            future.completeExceptionally(e);
          }
        },
        Callbacks.POOL);
    return future;
  }

  void setValue(String value) {
    byte[] bytes = value == null ? null : Calls.utf8("value", value);
    connection.ask(
        number -> fenced(() -> Native.mpsync_election_set_value_start(own, number, bytes)));
  }

  void cancel() {
    fencedUnlessClosed(() -> Native.mpsync_election_cancel(own));
  }

  void releaseStart(long number, long grant) {
    fenced(() -> Native.mpsync_election_resign_start(own, number, grant));
  }

  /** Ask for terms until runStop; what becomes of them is told to the request. */
  void runStart(Request run, long number, String value, long waitMs) {
    byte[] bytes = value == null ? null : Calls.utf8("value", value);
    connection.start(
        run, number, op -> fenced(() -> Native.mpsync_election_run_start(own, op, bytes, waitMs)));
  }

  void runStop(long number) {
    fencedUnlessClosed(() -> Native.mpsync_election_run_stop(own, number));
  }

  void termDone(long grant, boolean failed) {
    fencedUnlessClosed(() -> Native.mpsync_election_term_done(own, grant, failed ? 1 : 0));
  }

  boolean isHeld(long grant) {
    try {
      return Native.mpsync_election_is_leader(own, grant) != 0;
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  Duration remaining(long grant) {
    return Duration.ofMillis(fenced(() -> Native.mpsync_election_remaining_ms(own, grant)));
  }

  int lostReason(long grant) {
    return fenced(() -> Native.mpsync_election_lost_reason(own, grant));
  }

  /** Release what it has, or take back what it asks for; nothing is asked of it any more. */
  void end() {
    Taking asked;
    synchronized (this) {
      closed = true;
      asked = latest;
    }
    Held held = takePresent();
    if (held != null) {
      held.end();
    } else if (asked != null) {
      asked.withdraw();
    }
    leave.run();
  }

  private void fencedUnlessClosed(Supplier<?> call) {
    SyncException.ifOpen(() -> fenced(call));
  }

  private <T> T fenced(Supplier<T> call) {
    try {
      return Calls.checked(call);
    } finally {
      Reference.reachabilityFence(this);
    }
  }
}
