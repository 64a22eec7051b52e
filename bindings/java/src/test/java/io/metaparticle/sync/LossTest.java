package io.metaparticle.sync;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** How losses are told, to whom, and on which threads. */
class LossTest extends Store {
  private final Logger logger = Logger.getLogger("io.metaparticle.sync");
  private final BlockingQueue<LogRecord> logged = new LinkedBlockingQueue<>();
  private final BlockingQueue<String> told = new LinkedBlockingQueue<>();
  private final Handler handler =
      new Handler() {
        @Override
        public void publish(LogRecord record) {
          logged.add(record);
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
      };

  @BeforeEach
  void listenToTheLog() {
    logger.addHandler(handler);
    logger.setUseParentHandlers(false);
  }

  @AfterEach
  void leaveTheLog() {
    logger.removeHandler(handler);
    logger.setUseParentHandlers(true);
  }

  private LockListener listener(Runnable onAcquired, Runnable onLost) {
    return new LockListener() {
      @Override
      public void lockAcquired() {
        told.add("acquired");
        onAcquired.run();
      }

      @Override
      public void lockLost() {
        told.add("lost");
        onLost.run();
      }
    };
  }

  private static void fail() {
    throw new IllegalStateException("a callback's own");
  }

  /** The listener is told, the stages complete, check throws, and so does the end of the block. */
  @Test
  void losses() throws Exception {
    Lock one = new Lock("x", brief());
    one.setLockListener(listener(() -> {}, () -> {}));
    CountDownLatch lost = new CountDownLatch(1);
    BlockingQueue<Ending> endings = new LinkedBlockingQueue<>();
    assertThrows(
        LockLostException.class,
        () -> {
          try (Held held = one.acquire()) {
            assertEquals("acquired", next(told));
            held.lost().thenRun(lost::countDown);
            held.ending().thenAccept(endings::add);
            takeByForce();
            lost.await();
            assertThrows(LockLostException.class, held::check);
            assertFalse(held.isHeld());
          }
        });
    assertEquals(new Ending("deleted", Optional.of(Duration.ZERO)), next(endings));
    assertEquals("lost", next(told));
    one.acquire().release();
    assertEquals("acquired", next(told));
    assertNull(told.poll(), "a release of today's is no loss");
  }

  /** The program's own pool is full, and a callback of another loss blocks: told all the same. */
  @Test
  void withoutTheProgramsPool() throws Exception {
    CountDownLatch busy = new CountDownLatch(1);
    for (int i = 0; i < 64; i++) {
      ForkJoinPool.commonPool().execute(() -> awaitQuietly(busy));
    }
    try {
      Lock one = new Lock("x", brief());
      one.setLockListener(listener(() -> {}, () -> awaitQuietly(busy)));
      Held held = one.acquireAsync().get();
      CountDownLatch lost = new CountDownLatch(1);
      held.lost()
          .thenRun(
              () -> {
                lost.countDown();
                awaitQuietly(busy);
              });
      takeByForce();
      lost.await();
      assertEquals("lost", next(told));
      one.acquireAsync().get().release();
    } finally {
      busy.countDown();
    }
  }

  private static void awaitQuietly(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** What a listener throws is logged by System.Logger, on whatever thread. */
  @Test
  void listenersThatThrow() throws Exception {
    Lock one = new Lock("x", brief());
    one.setLockListener(listener(LossTest::fail, LossTest::fail));
    Held held = one.acquire();
    assertEquals("a callback's own", next(logged).getThrown().getMessage());
    takeByForce();
    assertEquals("a callback's own", next(logged).getThrown().getMessage());
    assertThrows(LockLostException.class, held::close);
  }

  /** The first package's calls: told of an unlock, too; what lockAcquired throws comes out. */
  @Test
  void theFirstPackagesListener() throws Exception {
    Lock one = new Lock("x", brief());
    one.setLockListener(listener(() -> {}, () -> {}));
    one.lock();
    one.unlock();
    assertEquals("acquired", next(told));
    assertEquals("lost", next(told));
    one.lock();
    takeByForce();
    assertEquals("acquired", next(told));
    assertEquals("lost", next(told));
    one.unlock(); // after a loss that was told
    assertNull(told.poll());
    assertThrows(IllegalStateException.class, one::unlock);
    one.setLockListener(listener(LossTest::fail, () -> {}));
    assertThrows(IllegalStateException.class, one::lock);
    assertTrue(lock().tryLock(), "it is not held");
  }

  /** Nobody listens: it cannot be missed. */
  @Test
  void nobodyListens() throws Exception {
    BlockingQueue<Throwable> uncaught = new LinkedBlockingQueue<>();
    Thread.setDefaultUncaughtExceptionHandler((thread, thrown) -> uncaught.add(thrown));
    new Lock("x", brief()).lock();
    takeByForce();
    assertInstanceOf(LockLostException.class, next(uncaught));
  }

  /** Observers see nobody, the leader, its new value, and nobody again. */
  @Test
  void observing() throws Exception {
    BlockingQueue<Optional<Leader>> seen = new LinkedBlockingQueue<>();
    Election election = new Election("x", options().identity("me"));
    try (Observation observation = new Election("x", options()).observe(seen::add)) {
      assertEquals(Optional.empty(), next(seen));
      Held term = election.campaign("one");
      assertEquals(Optional.of(new Leader("me", "one", term.token())), next(seen));
      election.setValue("zwei🔑");
      assertEquals("zwei🔑", next(seen).orElseThrow().value());
      assertEquals("me", election.leader().orElseThrow().holder());
      election.resign();
      assertEquals(Optional.empty(), next(seen));
    }
    assertThrows(NotHeldException.class, () -> election.setValue("three"));
    assertThrows(NotHeldException.class, election::resign);
  }
}
