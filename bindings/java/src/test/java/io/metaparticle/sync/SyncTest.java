package io.metaparticle.sync;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.metaparticle.sync.internal.Native;
import java.io.File;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Locks and elections in the memory of this process. */
@Timeout(60)
class SyncTest {
  private static final AtomicInteger STORES = new AtomicInteger();

  private String url;

  @BeforeEach
  void aStoreThatNobodyElseHas() {
    url = "memory:" + STORES.incrementAndGet();
  }

  private Lock lock() {
    return new Lock("x", url);
  }

  private Options options() {
    return new Options().url(url);
  }

  private void takeByForce() {
    Native.mpsync_client_force_release(Client.of(url).handle, Client.utf8("name", "x"), 1);
  }

  /** One holds, another does not; tokens rise; a grant that has ended stays ended. */
  @Test
  void grants() throws Exception {
    Lock one = lock();
    Held held = one.acquire();
    assertTrue(held.isHeld() && one.isHeld() && held.remaining().toMillis() > 0);
    assertEquals(held.token(), one.token());
    assertFalse(lock().tryLock());
    assertFalse(lock().tryLock(1, TimeUnit.MILLISECONDS));
    held.release();
    assertThrows(NotHeldException.class, held::release);
    assertDoesNotThrow(held::close);
    Held next = one.acquire();
    assertTrue(Long.compareUnsigned(next.token(), held.token()) > 0 && !held.isHeld());
    next.close();
    assertFalse(one.isHeld());
  }

  /** The first API's exceptions, and what a java.util.concurrent lock does. */
  @Test
  void misuse() {
    Lock one = lock();
    assertThrows(IllegalStateException.class, one::unlock);
    one.lock();
    assertThrows(IllegalStateException.class, one::lock);
    assertThrows(AlreadyHeldException.class, one::tryLock);
    assertThrows(UnsupportedOperationException.class, one::newCondition);
    one.unlock();
    assertTrue(one.tryLock());
    one.close();
    assertFalse(one.isHeld());
  }

  /** What breaks the contract is refused with the reason. */
  @Test
  void badArguments() {
    for (String name : new String[] {"", "a\0b", "\ud800", "n".repeat(1025), null}) {
      assertThrows(InvalidArgumentException.class, () -> new Lock(name, url));
    }
    assertThrows(InvalidArgumentException.class, () -> new Lock("x", "gopher:x"));
    Options odd = options().set("colour", "red");
    assertThrows(InvalidArgumentException.class, () -> new Lock("x", odd));
    StoreException nobody =
        assertThrows(StoreException.class, new Lock("x", "http://127.0.0.1:1")::lock);
    assertTrue(nobody.getMessage().contains("mpsync elector"), nobody.getMessage());
    assertEquals(-4, nobody.status());
  }

  /** An interrupt ends the waiting, and the lock can be asked for again. */
  @Test
  void interrupts() throws Exception {
    Held held = lock().acquire();
    Lock waiting = lock();
    AtomicReference<Throwable> thrown = new AtomicReference<>();
    Thread thread =
        new Thread(() -> thrown.set(assertThrows(Exception.class, waiting::lockInterruptibly)));
    thread.start();
    thread.interrupt();
    thread.join();
    assertEquals(InterruptedException.class, thrown.get().getClass());
    held.release();
    assertTrue(waiting.tryLock());
    waiting.unlock();
  }

  /** A future that is cancelled withdraws; a thousand wait without a thread each. */
  @Test
  void futures() throws Exception {
    Held held = lock().acquire();
    Lock withdrawn = lock();
    withdrawn.acquireAsync().cancel(true);
    List<CompletableFuture<Void>> all = new ArrayList<>();
    for (int i = 0; i < 1000; i++) {
      all.add(lock().acquireAsync().thenAccept(Held::letGo));
    }
    assertTrue(new File("/proc/self/task").list().length < 100);
    held.release();
    CompletableFuture.allOf(all.toArray(new CompletableFuture<?>[0])).get();
    assertTrue(lock().tryLock(10, TimeUnit.SECONDS));
  }

  /** The listener is told of both ends; a loss throws at the end of its block. */
  @Test
  void losses() throws Exception {
    Logger.getLogger("io.metaparticle.sync").setLevel(Level.OFF); // what a callback throws
    BlockingQueue<String> told = new LinkedBlockingQueue<>();
    Lock one = new Lock("x", options().ttl(Duration.ofSeconds(1)));
    one.setLockListener(
        new LockListener() {
          @Override
          public void lockAcquired() {
            told.add("acquired");
            throw new IllegalStateException("a callback's own");
          }

          @Override
          public void lockLost() {
            told.add("lost");
          }
        });
    CountDownLatch lost = new CountDownLatch(1);
    assertThrows(
        LockLostException.class,
        () -> {
          try (Held held = one.acquire()) {
            assertEquals("acquired", told.take());
            held.lost().thenRun(lost::countDown);
            takeByForce();
            lost.await();
            assertFalse(held.isHeld());
          }
        });
    assertEquals("lost", told.take());
    one.lock();
    one.unlock();
  }

  /**
   * An election of the first API: told at both ends of a term, again after a loss, and at the end.
   */
  @Test
  void elections() throws Exception {
    BlockingQueue<String> told = new LinkedBlockingQueue<>();
    Election election =
        new Election(
            "x",
            options().ttl(Duration.ofSeconds(1)),
            () -> told.add("elected"),
            () -> told.add("terminate"));
    Thread thread = new Thread(election);
    thread.start();
    assertEquals("elected", told.take());
    assertThrows(IllegalStateException.class, election::run);
    takeByForce();
    assertEquals("terminate", told.take());
    assertEquals("elected", told.take());
    assertTrue(election.isLeader());
    election.shutdown();
    thread.join();
    assertEquals("terminate", told.take());
    assertTrue(lock().tryLock());
  }

  /** Shutting down ends the waiting of a candidate. */
  @Test
  void shutdownOfACandidate() throws Exception {
    lock().lock();
    Election election = new Election("x", url, () -> {}, () -> {});
    Thread thread = new Thread(election);
    thread.start();
    while (thread.isAlive()) {
      election.shutdown();
      thread.join(1);
    }
    assertFalse(election.isLeader());
  }

  /** Observers see nobody, the leader, its new value, and nobody again. */
  @Test
  void observing() throws Exception {
    BlockingQueue<Optional<Leader>> seen = new LinkedBlockingQueue<>();
    Election election = new Election("x", options().identity("me"));
    try (Observation observation = new Election("x", options()).observe(seen::add)) {
      assertEquals(Optional.empty(), seen.take());
      Held term = election.campaign("one");
      assertEquals(Optional.of(new Leader("me", "one", term.token())), seen.take());
      election.setValue("zwei🔑");
      assertEquals("zwei🔑", seen.take().orElseThrow().value());
      assertEquals("me", election.leader().orElseThrow().holder());
      election.resign();
      assertEquals(Optional.empty(), seen.take());
    }
    assertThrows(NotHeldException.class, () -> election.setValue("three"));
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

  /** Handles that nobody has any more are freed, and what they hold is released. */
  @Test
  void droppedHandles() throws Exception {
    lock().lock();
    CompletableFuture<Held> next = lock().acquireAsync();
    while (!next.isDone()) {
      System.gc();
      Thread.onSpinWait();
    }
    next.get().release();
  }
}
