package io.metaparticle.sync;

import io.metaparticle.sync.internal.Native;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;

/** A store in the memory of this process, another one for each test. */
@Timeout(180)
abstract class Store {
  private static final AtomicInteger STORES = new AtomicInteger();

  /**
   * Of this test's own. A client that nobody refers to any more may still be closing when it is
   * removed, and write; for TempDir that would be a failure.
   */
  final File folder = newFolder();

  String url;

  private static File newFolder() {
    try {
      return Files.createTempDirectory("mpsync-").toFile();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @AfterEach
  void theFolderGoes() {
    for (File file : folder.listFiles()) {
      file.delete();
    }
    folder.delete();
  }

  @BeforeEach
  void aStoreThatNobodyElseHas() {
    url = "memory:" + STORES.incrementAndGet();
  }

  @AfterEach
  void nothingIsLeft() {
    Connection connection = Connection.shared(url);
    connection.close();
    connection.leave();
  }

  Lock lock() {
    return new Lock("x", url);
  }

  Options options() {
    return new Options().url(url);
  }

  /**
   * Whose holder soon learns that it was taken away, by the next renewal, and which does not run
   * out before, however slow the machine is.
   */
  Options brief() {
    return options().ttl(Duration.ofSeconds(6));
  }

  void takeByForce() {
    Connection connection = Connection.shared(url);
    connection.with(
        client -> Native.mpsync_client_force_release(client, Calls.utf8("name", "x"), 1));
    connection.leave();
  }

  /** A program of the tests' own. */
  static Process start(Class<?> main, String... arguments) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(System.getProperty("java.home") + "/bin/java");
    command.addAll(List.of("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"));
    command.add(System.getProperty("java.class.path"));
    command.add(main.getName());
    command.addAll(List.of(arguments));
    return new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
  }

  /** The next thing told, which does not stay out. */
  static <T> T next(BlockingQueue<T> told) throws InterruptedException {
    T next = told.poll(60, TimeUnit.SECONDS);
    if (next == null) {
      throw new AssertionError("nothing was told");
    }
    return next;
  }

  interface Body {
    void run() throws Exception;
  }

  /** A thread whose exceptions its join throws. */
  static final class Beside {
    private final Thread thread;
    private Throwable thrown;

    Beside(Body body) {
      thread =
          new Thread(
              () -> {
                try {
                  body.run();
                } catch (Throwable e) {
                  thrown = e;
                }
              });
      thread.start();
    }

    void interrupt() {
      thread.interrupt();
    }

    boolean isAlive() {
      return thread.isAlive();
    }

    /** What it threw, or null. */
    Throwable thrown() throws InterruptedException {
      thread.join(60000);
      if (thread.isAlive()) {
        AssertionError hangs = new AssertionError("it does not end");
        hangs.setStackTrace(thread.getStackTrace());
        throw hangs;
      }
      return thrown;
    }

    void join() throws InterruptedException {
      if (thrown() != null) {
        throw new AssertionError(thrown);
      }
    }
  }
}
