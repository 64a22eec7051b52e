package io.metaparticle.sync;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** Waiting by threads and futures, alone and on one object, and how it is cut short. */
class WaitTest extends Store {
  private static void until(java.util.function.BooleanSupplier seen) throws InterruptedException {
    while (!seen.getAsBoolean()) {
      Thread.sleep(1);
    }
  }

  /** An interrupt ends the waiting, whenever it comes, and the lock can be asked for at once. */
  @Test
  void interrupts() throws Exception {
    Held held = lock().acquire();
    Lock waiting = lock();
    for (int turn = 0; turn < 50; turn++) {
      Beside beside = new Beside(waiting::lockInterruptibly);
      beside.interrupt();
      assertInstanceOf(InterruptedException.class, beside.thrown());
      assertFalse(waiting.tryLock(), "it queues behind the withdrawal");
    }
    held.release();
    assertTrue(waiting.tryLock());
    waiting.unlock();
  }

  /** An interrupt that meets the grant: either the caller has it, or nobody does. */
  @Test
  void interruptsThatMeetTheGrant() throws Exception {
    Lock waiting = lock();
    for (int turn = 0; turn < 100; turn++) {
      Held held = lock().acquire();
      Beside beside =
          new Beside(
              () -> {
                waiting.lockInterruptibly();
                waiting.unlock();
              });
      held.release();
      beside.interrupt();
      beside.thrown();
      lock().acquire(60, TimeUnit.SECONDS).release();
    }
  }

  /** However a future ends, its request is withdrawn, and takes no turn for nobody. */
  @Test
  void futures() throws Exception {
    List<Consumer<CompletableFuture<Held>>> ends =
        List.of(
            future -> future.cancel(true),
            future -> future.completeExceptionally(new IllegalStateException("the caller's")),
            future -> future.complete(null),
            future -> future.orTimeout(1, TimeUnit.MILLISECONDS));
    for (Consumer<CompletableFuture<Held>> end : ends) {
      Held held = lock().acquire();
      Lock withdrawn = lock();
      CompletableFuture<Held> future = withdrawn.acquireAsync();
      end.accept(future);
      until(future::isDone);
      untilTimersAreDone();
      CompletableFuture<Held> next = lock().acquireAsync();
      held.release();
      Held after = next.get();
      assertEquals(held.token() + 1, after.token(), "nobody had a turn between");
      assertThrows(SyncException.class, withdrawn::unlock);
      after.release();
    }
  }

  /** A future is done before what hangs on it is, which the thread of timeouts does as well. */
  private static void untilTimersAreDone() {
    Executor timers = CompletableFuture.delayedExecutor(1, TimeUnit.MILLISECONDS, Runnable::run);
    CompletableFuture.runAsync(() -> {}, timers).join();
  }

  /** A future that ends when its grant is on its way: it goes to the next. */
  @Test
  void futuresThatMeetTheGrant() throws Exception {
    for (int turn = 0; turn < 200; turn++) {
      Lock one = lock();
      CompletableFuture<Held> future = one.acquireAsync();
      if (!future.cancel(false)) {
        future.get().release();
      }
      assertTrue(one.tryLock(60, TimeUnit.SECONDS), "the same lock, behind the withdrawal");
      one.unlock();
    }
  }

  /** A thousand wait without a thread each. */
  @Test
  void many() throws Exception {
    Held held = lock().acquire();
    List<CompletableFuture<Void>> all = new ArrayList<>();
    for (int i = 0; i < 1000; i++) {
      all.add(lock().acquireAsync().thenAccept(Held::release));
    }
    assertTrue(new File("/proc/self/task").list().length < 100);
    held.release();
    CompletableFuture.allOf(all.toArray(new CompletableFuture<?>[0])).get();
  }

  /** As java.util.concurrent.locks.Lock promises: another thread waits, on the same object. */
  @Test
  void threadsShareALock() throws Exception {
    Lock shared = lock();
    int[] inside = {0, 0};
    List<Beside> threads = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      threads.add(
          new Beside(
              () -> {
                for (int turn = 0; turn < 50; turn++) {
                  shared.lock();
                  assertEquals(1, ++inside[0]);
                  inside[1]++;
                  inside[0]--;
                  shared.unlock();
                }
              }));
    }
    for (Beside thread : threads) {
      thread.join();
    }
    assertEquals(400, inside[1]);
  }

  /** One's interrupt or timeout ends one's own waiting alone. */
  @Test
  void cuttingOneWaitLeavesTheOthers() throws Exception {
    Lock shared = lock();
    shared.lock();
    Beside patient =
        new Beside(
            () -> {
              shared.lock();
              shared.unlock();
            });
    Beside cut = new Beside(shared::lockInterruptibly);
    Beside brief = new Beside(() -> assertFalse(shared.tryLock(1, TimeUnit.MILLISECONDS)));
    CompletableFuture<Held> future = shared.acquireAsync();
    brief.join();
    cut.interrupt();
    assertInstanceOf(InterruptedException.class, cut.thrown());
    future.cancel(false);
    assertTrue(patient.isAlive());
    assertThrows(AlreadyHeldException.class, shared::lock);
    shared.unlock();
    patient.join();
  }

  /** Any thread may unlock; but who lost its grant does not release another thread's. */
  @Test
  void unlockingForOthers() throws Exception {
    Lock shared = new Lock("x", brief());
    new Beside(shared::lock).join();
    shared.unlock();
    Thread.setDefaultUncaughtExceptionHandler((thread, loss) -> {});
    shared.lock();
    takeByForce();
    until(() -> !shared.isHeld());
    new Beside(shared::lock).join();
    assertThrows(NotHeldException.class, shared::unlock);
    assertTrue(shared.isHeld());
    shared.unlock();
    assertFalse(shared.isHeld());
  }

  /** cancel ends the waiting of every thread. */
  @Test
  void cancels() throws Exception {
    Lock shared = lock();
    lock().lock();
    Beside one = new Beside(shared::lock);
    Beside two = new Beside(shared::lock);
    while (one.isAlive() || two.isAlive()) {
      shared.cancel();
      Thread.sleep(1);
    }
    assertEquals(-6, ((SyncException) one.thrown()).status());
    assertEquals(-6, ((SyncException) two.thrown()).status());
  }

  /**
   * Where the JDK has virtual threads, more of them wait than there are carriers, and none is
   * pinned.
   */
  @Test
  void virtualThreads() throws Exception {
    Optional<ExecutorService> executor = virtualThreadExecutor();
    if (executor.isEmpty()) {
      return;
    }
    Held held = lock().acquire();
    List<CompletableFuture<Void>> all = new ArrayList<>();
    for (int i = 0; i < 200; i++) {
      Lock own = lock();
      all.add(
          CompletableFuture.runAsync(
              () -> {
                own.lock();
                own.unlock();
              },
              executor.get()));
    }
    held.release();
    CompletableFuture.allOf(all.toArray(new CompletableFuture<?>[0])).get();
  }

  private static Optional<ExecutorService> virtualThreadExecutor() throws Exception {
    try {
      return Optional.of(
          (ExecutorService)
              Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null));
    } catch (NoSuchMethodException e) {
      return Optional.empty();
    }
  }
}
