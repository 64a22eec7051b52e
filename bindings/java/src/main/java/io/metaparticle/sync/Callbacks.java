package io.metaparticle.sync;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * Where the program's functions are called: threads of this package, as many as are needed at once,
 * never those that read events. They end soon after their work, so that nothing keeps a class
 * loader.
 */
final class Callbacks {
  static final ThreadPoolExecutor POOL =
      new ThreadPoolExecutor(
          0,
          Integer.MAX_VALUE,
          100,
          TimeUnit.MILLISECONDS,
          new SynchronousQueue<>(),
          callback -> thread(callback, "metaparticle-sync-callback"));

  private Callbacks() {}

  /** A daemon that inherits nothing of the thread that happens to start it. */
  static Thread thread(Runnable body, String name) {
    Thread thread = new Thread(null, body, name, 0, false);
    thread.setDaemon(true);
    thread.setContextClassLoader(Callbacks.class.getClassLoader());
    return thread;
  }

  /** Call a function of the program on another thread; what it throws is logged. */
  static void tell(Runnable callback) {
    POOL.execute(() -> guard(callback));
  }

  /** Call a function of the program here; what it throws is logged. */
  static void guard(Runnable callback) {
    try {
      callback.run();
    } catch (Throwable e) {
      logger().log(System.Logger.Level.ERROR, "a callback threw an exception", e);
    }
  }

  /** What the C library has to say, for instance that a store is waited for. */
  static void warn(String message) {
    tell(() -> logger().log(System.Logger.Level.WARNING, message));
  }

  static System.Logger logger() {
    return System.getLogger("io.metaparticle.sync");
  }

  /** Calls one after the other, each on another thread. */
  static final class InOrder {
    private CompletableFuture<Void> last = CompletableFuture.completedFuture(null);

    synchronized void tell(Runnable callback) {
      last = last.thenRunAsync(() -> guard(callback), POOL);
    }
  }
}
