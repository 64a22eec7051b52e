package io.metaparticle.sync;

import io.metaparticle.sync.internal.Native;
import io.metaparticle.sync.internal.SWIGTYPE_p_mpsync_client;
import io.metaparticle.sync.internal.SWIGTYPE_p_mpsync_options;
import io.metaparticle.sync.internal.SWIGTYPE_p_mpsync_queue;
import io.metaparticle.sync.internal.mpsync_event;
import io.metaparticle.sync.internal.mpsync_event_type;
import java.lang.ref.Cleaner;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import java.util.function.LongConsumer;

/**
 * A client of the C library, and the thread that hands out its events; ended by {@link #close}, or
 * when its last user has left. What is held or asked for is reachable from that thread, so the
 * collector takes neither before its end.
 */
final class Connection {
  static final String DEFAULT_BASE_URI = "http://localhost:13131";
  static final Cleaner CLEANER = Cleaner.create();

  private static final Map<String, Connection> SHARED = new HashMap<>();

  private final String key; // in SHARED, or null
  private final SWIGTYPE_p_mpsync_client handle;
  private final SWIGTYPE_p_mpsync_queue queue;
  private final Thread pump = Callbacks.thread(this::pump, "metaparticle-sync");
  private final AtomicLong numbers = new AtomicLong();
  private final long closing = number();
  private final AtomicBoolean ending = new AtomicBoolean();
  private final Map<Long, Request> requests = new ConcurrentHashMap<>();
  private final Map<Long, Held> grants = new ConcurrentHashMap<>();
  private int users; // guarded by SHARED
  private boolean over; // guarded by this

  private Connection(String key, byte[] url, SWIGTYPE_p_mpsync_options options) {
    this.key = key;
    SWIGTYPE_p_mpsync_queue events = Calls.checked(Native::mpsync_queue_new);
    queue = events;
    CLEANER.register(this, () -> Native.mpsync_queue_free(events)); // when no thread waits in it
    handle = Calls.checked(() -> Native.mpsync_client_open(url, options, events));
    users = 1;
    pump.start();
  }

  /** Of one that others may use as well. Who is given it leaves it. */
  static Connection shared(String url) {
    String key = url == null || url.equals(DEFAULT_BASE_URI) ? "" : url;
    synchronized (SHARED) {
      Connection known = SHARED.get(key);
      if (known != null) {
        known.users++;
        return known;
      }
      Connection made = new Connection(key, key.isEmpty() ? null : Calls.utf8("url", key), null);
      SHARED.put(key, made);
      return made;
    }
  }

  static Connection own(Options options) {
    byte[] url = options.url == null ? null : Calls.utf8("url", options.url);
    return options.with(settings -> new Connection(null, url, settings));
  }

  Connection join() {
    synchronized (SHARED) {
      users++;
    }
    return this;
  }

  void leave() {
    synchronized (SHARED) {
      if (--users > 0) {
        return;
      }
      SHARED.remove(key, this);
    }
    end();
  }

  /** End it, whoever uses it, and wait for the release of what is held. */
  void close() {
    synchronized (SHARED) {
      SHARED.remove(key, this);
    }
    end();
    boolean interrupted = false;
    while (pump.isAlive() && Thread.currentThread() != pump) {
      try {
        pump.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void end() {
    if (ending.compareAndSet(false, true)) {
      with(client -> Native.mpsync_client_close_start(client, closing));
    }
  }

  /** Make a call on the client itself, which nobody closes meanwhile. */
  synchronized <T> T with(Function<SWIGTYPE_p_mpsync_client, T> call) {
    if (over) {
      throw SyncException.of(SyncException.CLOSED, "the client is closed");
    }
    return Calls.checked(() -> call.apply(handle));
  }

  /** The next request's. */
  long number() {
    return numbers.incrementAndGet();
  }

  /** Give the request a number and make the call with it. */
  long start(Request request, LongConsumer call) {
    return start(request, number(), call);
  }

  long start(Request request, long number, LongConsumer call) {
    requests.put(number, request);
    try {
      Calls.made(call, number);
      return number;
    } catch (RuntimeException e) {
      requests.remove(number);
      throw e;
    }
  }

  /** Make a call that ends soon, and wait for its end. */
  void ask(LongConsumer call) {
    Request request = new Request();
    new Wait(this, request, call).awaitEnd();
    request.result();
  }

  void hold(long grant, Held held) {
    grants.put(grant, held);
  }

  void forget(long grant) {
    grants.remove(grant);
  }

  /** Block in the C library until there is news of this request, or a signal came. */
  void awaitEvent(long number, Request request) {
    mpsync_event event = Native.mpsync_queue_wait_for(queue, number);
    if (event != null) {
      request.take(Event.take(event));
    }
  }

  private void pump() {
    boolean open = true;
    while (open) {
      mpsync_event event = Native.mpsync_queue_wait(queue, -1);
      open = event == null || dispatch(Event.take(event));
    }
    synchronized (this) {
      over = true;
      Native.mpsync_client_close(handle);
    }
    requests.values().forEach(request -> request.end(Event.closed()));
    grants.clear();
  }

  /** Whether there is more to come. An exception, as without memory, costs one event only. */
  private boolean dispatch(Event event) {
    if (event.op() == closing) {
      return false;
    }
    try {
      if (event.op() == 0) {
        dispatchUnasked(event);
      } else {
        Request request = event.goesOn() ? requests.get(event.op()) : requests.remove(event.op());
        if (request != null) {
          request.take(event);
        }
      }
    } catch (Throwable e) {
      Callbacks.logger().log(System.Logger.Level.ERROR, "an event was not told", e);
    }
    return true;
  }

  private void dispatchUnasked(Event event) {
    Held held = grants.get(event.grant());
    if (event.type() == mpsync_event_type.MPSYNC_EVENT_LOG) {
      Callbacks.warn(event.message());
    } else if (held != null && event.type() == mpsync_event_type.MPSYNC_EVENT_LOST) {
      held.lose(event.reason());
    } else if (held != null && event.type() == mpsync_event_type.MPSYNC_EVENT_RELEASED) {
      held.forget(); // it was withdrawn
    }
  }
}
