package io.metaparticle.sync.shedlock;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.metaparticle.sync.Client;
import io.metaparticle.sync.Held;
import io.metaparticle.sync.Options;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import net.javacrumbs.shedlock.core.DefaultLockingTaskExecutor;
import net.javacrumbs.shedlock.core.LockConfiguration;
import net.javacrumbs.shedlock.core.LockExtender;
import net.javacrumbs.shedlock.core.LockingTaskExecutor.TaskWithResult;
import net.javacrumbs.shedlock.core.SimpleLock;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** ShedLock's own executor over two providers, as those of two processes. */
@Timeout(180)
class SyncLockProviderTest {
  private static final AtomicInteger STORES = new AtomicInteger();
  private static final Duration NONE = Duration.ZERO;
  private static final Duration BRIEF = Duration.ofMillis(50);
  private static final Duration LONG = Duration.ofHours(1);

  private final String url = "memory:shedlock" + STORES.incrementAndGet();
  private final Client here = new Client(new Options().url(url));
  private final Client there = new Client(new Options().url(url));
  private final SyncLockProvider one = new SyncLockProvider(here);
  private final SyncLockProvider other = new SyncLockProvider(there);

  @AfterEach
  void close() {
    here.close();
    there.close();
  }

  private static LockConfiguration times(Duration atMost, Duration atLeast) {
    return new LockConfiguration(Instant.now(), "report", atMost, atLeast);
  }

  private boolean isFreeForOther() {
    Optional<SimpleLock> lock = other.lock(times(LONG, NONE));
    lock.ifPresent(SimpleLock::unlock);
    return lock.isPresent();
  }

  /** Waits as long as it takes, which the test's own limit bounds. */
  private void awaitFreeForOther() throws InterruptedException {
    try (Held held = there.lock("report", new Options()).acquire()) {
      assertTrue(held.isHeld());
    }
  }

  /** A task runs in one process at a time, and the next one may run when it has ended. */
  @Test
  void tasksExcludeOneAnother() throws Throwable {
    DefaultLockingTaskExecutor mine = new DefaultLockingTaskExecutor(one);
    DefaultLockingTaskExecutor others = new DefaultLockingTaskExecutor(other);
    TaskWithResult<Boolean> beside =
        () ->
            // In another thread, for ShedLock lets the same thread run what it has locked.
            java.util.concurrent.CompletableFuture.supplyAsync(
                    () -> {
                      AtomicInteger ran = new AtomicInteger();
                      others.executeWithLock((Runnable) ran::incrementAndGet, times(LONG, NONE));
                      return ran.get() == 1;
                    })
                .join();
    assertFalse(mine.executeWithLock(beside, times(LONG, NONE)).getResult());
    assertTrue(beside.call());
  }

  /** A task that throws gives the lock back. */
  @Test
  void failuresRelease() {
    Runnable failing =
        () -> {
          throw new UnsupportedOperationException("a task's own");
        };
    assertThrows(
        UnsupportedOperationException.class,
        () -> new DefaultLockingTaskExecutor(one).executeWithLock(failing, times(LONG, NONE)));
    assertTrue(isFreeForOther());
  }

  /** What was unlocked before lockAtLeastFor stays held until then, and no longer. */
  @Test
  void atLeast() throws Exception {
    one.lock(times(LONG, LONG)).orElseThrow().unlock();
    assertFalse(isFreeForOther());
    here.close();
    try (Client more = new Client(new Options().url(url))) {
      new SyncLockProvider(more).lock(times(LONG, BRIEF)).orElseThrow().unlock();
      awaitFreeForOther();
    }
  }

  /**
   * When lockAtMostFor is over, others get the lock of a task that goes on; its unlock is quiet.
   */
  @Test
  void atMost() throws Exception {
    SimpleLock lock = one.lock(times(BRIEF, NONE)).orElseThrow();
    awaitFreeForOther();
    SimpleLock others = other.lock(times(LONG, NONE)).orElseThrow();
    lock.unlock();
    assertEquals(Optional.empty(), one.lock(times(LONG, NONE)));
    others.unlock();
  }

  /** An extended lock has the times of its extension; the former lock is used up. */
  @Test
  void extending() throws Exception {
    SimpleLock lock = one.lock(times(LONG, NONE)).orElseThrow();
    SimpleLock longer = lock.extend(LONG, LONG).orElseThrow();
    assertThrows(IllegalStateException.class, lock::unlock);
    assertFalse(isFreeForOther());
    longer.extend(BRIEF, NONE).orElseThrow();
    awaitFreeForOther();
  }

  /** ShedLock's own extender finds the lock of the running task. */
  @Test
  void extendingTheActiveLock() throws Exception {
    new DefaultLockingTaskExecutor(one)
        .executeWithLock(
            (Runnable) () -> LockExtender.extendActiveLock(LONG, LONG), times(LONG, NONE));
    assertFalse(isFreeForOther());
  }

  /** What was lost can neither be extended nor is its unlock in error. */
  @Test
  void losses() {
    SimpleLock lock = one.lock(times(LONG, NONE)).orElseThrow();
    here.close();
    assertTrue(isFreeForOther());
    assertEquals(Optional.empty(), lock.extend(LONG, NONE));
  }

  /** An interrupted thread gets nothing, and leaves nothing behind. */
  @Test
  void interrupts() {
    Thread.currentThread().interrupt();
    assertEquals(Optional.empty(), one.lock(times(LONG, NONE)));
    assertTrue(Thread.interrupted());
    assertTrue(isFreeForOther());
  }
}
