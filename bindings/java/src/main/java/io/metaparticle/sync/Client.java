package io.metaparticle.sync;

import io.metaparticle.sync.internal.Native;
import io.metaparticle.sync.internal.NativeException;
import io.metaparticle.sync.internal.SWIGTYPE_p_mpsync_client;
import io.metaparticle.sync.internal.SWIGTYPE_p_mpsync_queue;
import io.metaparticle.sync.internal.mpsync_event;
import io.metaparticle.sync.internal.mpsync_event_type;
import java.lang.ref.WeakReference;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import java.util.function.Supplier;

/** The process's connection to one URL, and the thread that hands out its events. */
final class Client {
  static final String DEFAULT_BASE_URI = "http://localhost:13131";

  private static final Map<String, Client> BY_URL = new HashMap<>();

  final SWIGTYPE_p_mpsync_client handle;
  private final SWIGTYPE_p_mpsync_queue queue;
  private final AtomicLong numbers = new AtomicLong();
  private final Map<Long, Request> requests = new ConcurrentHashMap<>();
  private final Map<Long, WeakReference<Handle>> handles = new ConcurrentHashMap<>();

  private Client(byte[] url) {
    queue = checked(Native::mpsync_queue_new);
    handle = checked(() -> Native.mpsync_client_open(url, null, queue));
    Thread pump = new Thread(this::pump, "metaparticle-sync");
    pump.setDaemon(true);
    pump.start();
    // Releases what is held when the program ends.
    Runtime.getRuntime().addShutdownHook(new Thread(() -> Native.mpsync_client_close(handle)));
  }

  /** Kept for the life of the process: a program has few URLs. */
  static Client of(String url) {
    String key = url == null || url.equals(DEFAULT_BASE_URI) ? "" : url;
    synchronized (BY_URL) {
      Client client = BY_URL.get(key);
      if (client == null) {
        client = new Client(key.isEmpty() ? null : utf8("url", key));
        BY_URL.put(key, client);
      }
      return client;
    }
  }

  /** Text as C takes it, or an exception that says what is wrong with it. */
  static byte[] utf8(String what, String text) {
    if (text == null) {
      throw new InvalidArgumentException(what + ": null is given");
    }
    if (text.indexOf('\0') >= 0) {
      throw new InvalidArgumentException(what + ": \"" + text + "\" has a NUL character in it");
    }
    try {
      var bytes = StandardCharsets.UTF_8.newEncoder().encode(java.nio.CharBuffer.wrap(text));
      byte[] copy = new byte[bytes.remaining()];
      bytes.get(copy);
      return copy;
    } catch (CharacterCodingException e) {
      throw new InvalidArgumentException(what + ": \"" + text + "\" is not valid Unicode");
    }
  }

  /** Make a call of the C library; its error becomes one of ours. */
  static <T> T checked(Supplier<T> call) {
    try {
      return call.get();
    } catch (NativeException e) {
      throw SyncException.of(e);
    }
  }

  void register(long id, Handle handle) {
    handles.put(id, new WeakReference<>(handle));
  }

  void unregister(long id) {
    handles.remove(id);
  }

  /** The next request's. */
  long number() {
    return numbers.incrementAndGet();
  }

  static void called(LongConsumer call, long number) {
    try {
      call.accept(number);
    } catch (NativeException e) {
      throw SyncException.of(e);
    }
  }

  /** Give the request a number and make the call with it. */
  long start(Request request, LongConsumer call) {
    long number = number();
    requests.put(number, request);
    try {
      called(call, number);
      return number;
    } catch (SyncException e) {
      requests.remove(number);
      throw e;
    }
  }

  /** Make a call that ends soon, and wait for its end. */
  void ask(LongConsumer call) {
    Request request = new Request();
    new Waiting(this, request, call).awaitEnd();
    request.result();
  }

  /** Block in the C library until there is news of this request, or a signal came. */
  void awaitEvent(long number, Request request) {
    mpsync_event event = Native.mpsync_queue_wait_for(queue, number);
    if (event != null) {
      deliver(Event.take(event), request);
    }
  }

  private void pump() {
    for (; ; ) {
      mpsync_event event = Native.mpsync_queue_wait(queue, -1);
      if (event != null) {
        dispatch(Event.take(event));
      }
    }
  }

  private void dispatch(Event event) {
    if (event.type() == mpsync_event_type.MPSYNC_EVENT_LOST) {
      WeakReference<Handle> reference = handles.get(event.lock());
      Handle lost = reference == null ? null : reference.get();
      if (lost != null) {
        lost.lose(event);
      }
      return;
    }
    Request request = goesOn(event) ? requests.get(event.op()) : requests.remove(event.op());
    if (request != null) {
      deliver(event, request);
    }
  }

  private static boolean goesOn(Event event) {
    return event.type() == mpsync_event_type.MPSYNC_EVENT_WAITING
        || event.type() == mpsync_event_type.MPSYNC_EVENT_LEADER
        || event.type() == mpsync_event_type.MPSYNC_EVENT_LOG;
  }

  private static void deliver(Event event, Request request) {
    if (goesOn(event)) {
      request.progress(event);
    } else {
      request.end(event);
    }
  }

  /** Call a function of the program on a thread of its own; what it throws is reported. */
  static void report(Runnable callback) {
    Thread thread = new Thread(callback, "metaparticle-sync-callback");
    thread.setDaemon(true);
    thread.start();
  }

  /** Call a function of the program here; what it throws is reported, and the client lives on. */
  static void guard(Runnable callback) {
    try {
      callback.run();
    } catch (RuntimeException e) {
      System.getLogger("io.metaparticle.sync")
          .log(System.Logger.Level.ERROR, "a callback threw an exception", e);
    }
  }

  /** What an observer does with each event before the end. */
  static Request watching(Consumer<Event> watch) {
    return new Request() {
      @Override
      void progress(Event event) {
        watch.accept(event);
      }
    };
  }
}
