package io.metaparticle.sync;

import io.metaparticle.sync.internal.Native;
import io.metaparticle.sync.internal.SWIGTYPE_p_mpsync_election;
import io.metaparticle.sync.internal.SWIGTYPE_p_mpsync_lock;
import io.metaparticle.sync.internal.SWIGTYPE_p_mpsync_options;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.function.LongConsumer;

/**
 * A native lock or election with its present grant; freed when nobody has it any more, and so never
 * while one of its methods runs.
 */
final class Handle {
  static final long WAIT_AS_OPTION = -2;
  static final long WAIT_FOR_EVER = -1;

  private static final Cleaner CLEANER = Cleaner.create();

  final Client client;
  final String name;
  private final SWIGTYPE_p_mpsync_lock lock;
  private final SWIGTYPE_p_mpsync_election election;
  private volatile Held present;
  private volatile Held latest; // present, or being released: it may be lost yet
  private volatile Consumer<LockLostException> onLost = lost -> {};

  private Handle(Client client, String name, boolean isElection, Options options) {
    this.client = client;
    this.name = name;
    byte[] bytes = Client.utf8("name", name);
    SWIGTYPE_p_mpsync_options settings = Client.checked(Native::mpsync_options_new);
    try {
      for (Map.Entry<String, String> setting : options.settings.entrySet()) {
        byte[] option = Client.utf8("option", setting.getKey());
        byte[] value = Client.utf8(setting.getKey(), setting.getValue());
        Client.checked(() -> Native.mpsync_options_set(settings, option, value));
      }
      lock =
          isElection
              ? null
              : Client.checked(() -> Native.mpsync_lock_new(client.handle, bytes, settings));
      election =
          isElection
              ? Client.checked(() -> Native.mpsync_election_new(client.handle, bytes, settings))
              : null;
    } finally {
      Native.mpsync_options_free(settings);
    }
    long id = isElection ? Native.mpsync_election_id(election) : Native.mpsync_lock_id(lock);
    client.register(id, this);
    CLEANER.register(this, new Freeing(client, id, lock, election));
  }

  private record Freeing(
      Client client, long id, SWIGTYPE_p_mpsync_lock lock, SWIGTYPE_p_mpsync_election election)
      implements Runnable {
    @Override
    public void run() {
      client.unregister(id);
      if (election == null) {
        Native.mpsync_lock_free(lock);
      } else {
        Native.mpsync_election_free(election);
      }
    }
  }

  static Handle lock(String name, Options options) {
    return new Handle(Client.of(options.url), name, false, options);
  }

  static Handle election(String name, Options options) {
    return new Handle(Client.of(options.url), name, true, options);
  }

  void onLost(Consumer<LockLostException> listener) {
    onLost = listener;
  }

  /** A request that makes its Held where its event is read, before anybody is told. */
  private final class Taking extends Request {
    private Held held;

    @Override
    void end(Event event) {
      if (event.status() == 0) {
        held = new Held(Handle.this, event.grant(), event.token());
        begin(held);
      }
      super.end(event);
    }

    Held taken() {
      result();
      return held;
    }
  }

  private LongConsumer start(String value, long waitMs) {
    byte[] bytes = value == null ? null : Client.utf8("value", value);
    return number -> startNative(number, bytes, waitMs);
  }

  private void startNative(long number, byte[] value, long waitMs) {
    try {
      if (election == null) {
        Native.mpsync_lock_acquire_start(lock, number, waitMs);
      } else {
        Native.mpsync_election_campaign_start(election, number, value, waitMs);
      }
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  Held take(String value, long waitMs) {
    Taking request = new Taking();
    new Waiting(client, request, start(value, waitMs)).awaitEnd();
    return request.taken();
  }

  Held takeInterruptibly(String value, long waitMs) throws InterruptedException {
    if (Thread.interrupted()) {
      throw new InterruptedException();
    }
    Taking request = new Taking();
    Waiting waiting = new Waiting(client, request, start(value, waitMs));
    try {
      waiting.awaitEndInterruptibly(this::cancel);
    } catch (InterruptedException e) {
      if (request.held != null) {
        request.held.letGo();
      }
      throw e;
    }
    return request.taken();
  }

  /** Cancelling the future withdraws the request. Its dependents run on the common pool. */
  CompletableFuture<Held> takeAsync(String value, long waitMs) {
    Taking request = new Taking();
    client.start(request, start(value, waitMs));
    CompletableFuture<Held> future = new CompletableFuture<>();
    request.ended.thenRunAsync(
        () -> {
          try {
            Held held = request.taken();
            if (!future.complete(held)) {
              held.letGo();
            }
          } catch (SyncException e) {
            future.completeExceptionally(e);
          }
        });
    future.whenComplete(
        (held, failure) -> {
          if (future.isCancelled()) {
            cancel();
          }
        });
    return future;
  }

  void setValue(String value) {
    byte[] bytes = Client.utf8("value", value);
    try {
      client.ask(number -> Native.mpsync_election_set_value_start(election, number, bytes));
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  void cancel() {
    try {
      Client.checked(
          () ->
              election == null
                  ? Native.mpsync_lock_cancel(lock)
                  : Native.mpsync_election_cancel(election));
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  void releaseStart(long number, long grant) {
    try {
      if (election == null) {
        Native.mpsync_lock_release_start(lock, number, grant);
      } else {
        Native.mpsync_election_resign_start(election, number, grant);
      }
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  boolean isHeld(long grant) {
    try {
      return (election == null
              ? Native.mpsync_lock_is_held(lock, grant)
              : Native.mpsync_election_is_leader(election, grant))
          != 0;
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  Duration remaining(long grant) {
    try {
      return Duration.ofMillis(
          election == null
              ? Native.mpsync_lock_remaining_ms(lock, grant)
              : Native.mpsync_election_remaining_ms(election, grant));
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /** The present grant, or null. */
  Held present() {
    return present;
  }

  /** The present grant, which is no longer present then. */
  Held takePresent() {
    synchronized (this) {
      Held held = present;
      present = null;
      if (held == null) {
        throw new NotHeldException("\"" + name + "\" is not held");
      }
      return held;
    }
  }

  void forget(Held held) {
    synchronized (this) {
      if (present == held) {
        present = null;
      }
    }
  }

  private void begin(Held held) {
    synchronized (this) {
      present = held;
      latest = held;
    }
    held.lookForLoss(); // LOST may have been read before
  }

  /** Called by the client's thread: a grant has ended unasked. */
  void lose(Event event) {
    Held held = latest;
    if (held != null && held.isOf(event)) {
      tellLost(held, event.reason());
    }
  }

  void tellLost(Held held, int why) {
    forget(held);
    String reason = Event.text(Native.mpsync_reason_text(why));
    LockLostException lost = new LockLostException("\"" + name + "\" was lost (" + reason + ")");
    if (held.lose(lost)) {
      onLost.accept(lost);
    }
  }

  int lostReason(long grant) {
    try {
      return election == null
          ? Native.mpsync_lock_lost_reason(lock, grant)
          : Native.mpsync_election_lost_reason(election, grant);
    } finally {
      Reference.reachabilityFence(this);
    }
  }
}
