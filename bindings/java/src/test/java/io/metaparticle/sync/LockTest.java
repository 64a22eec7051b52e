package io.metaparticle.sync;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** What one lock does, and what is refused. */
class LockTest extends Store {
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
    assertThrows(NotHeldException.class, held::release);
    assertTrue(next.isHeld(), "a second release of an earlier grant leaves the present one alone");
    new Beside(() -> assertFalse(one.tryLock())).join();
    next.close();
    assertFalse(one.isHeld());
  }

  /** The first package's exceptions, and what a java.util.concurrent lock does. */
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
    assertEquals(-12, assertThrows(SyncException.class, one::lock).status());
    assertDoesNotThrow(one::close);
  }

  /** What breaks the contract is refused with the reason, as Java refuses arguments. */
  @Test
  void badArguments() {
    for (String name : new String[] {"", "a\0b", "\ud800", "n".repeat(1025), null}) {
      assertThrows(IllegalArgumentException.class, () -> new Lock(name, url));
      assertThrows(IllegalArgumentException.class, () -> new Election(name, options()));
    }
    assertThrows(IllegalArgumentException.class, () -> new Lock("x", "gopher:x"));
    Options odd = options().set("colour", "red");
    assertThrows(IllegalArgumentException.class, () -> new Lock("x", odd));
    assertThrows(IllegalArgumentException.class, () -> new Client(odd));
  }

  /** A try on a store that is not there fails at once; a wait waits as long as it may. */
  @Test
  void nobodyThere() throws Exception {
    Lock lock = new Lock("x", options().url("http://127.0.0.1:1"));
    StoreException nobody = assertThrows(StoreException.class, lock::tryLock);
    assertTrue(nobody.getMessage().contains("mpsync elector"), nobody.getMessage());
    assertEquals(-4, nobody.status());
    CompletableFuture<Held> waits = lock.acquireAsync();
    assertThrows(
        java.util.concurrent.TimeoutException.class, () -> waits.get(300, TimeUnit.MILLISECONDS));
    waits.cancel(false);
    lock.close();
  }

  /** Durations of any length: for ever is Java's own, and a part of a millisecond is a wait. */
  @Test
  void durations() throws Exception {
    assertEquals(Calls.WAIT_FOR_EVER, Calls.waitMs(Long.MAX_VALUE, TimeUnit.DAYS));
    assertEquals(Calls.WAIT_FOR_EVER, Calls.waitMs(ChronoUnit.FOREVER.getDuration()));
    assertEquals(1, Calls.waitMs(1, TimeUnit.NANOSECONDS));
    assertEquals(2, Calls.waitMs(1001, TimeUnit.MICROSECONDS));
    assertEquals(1000, Calls.waitMs(1, TimeUnit.SECONDS));
    assertEquals(0, Calls.waitMs(-1, TimeUnit.SECONDS));
    assertEquals(1, Calls.waitMs(Duration.ofNanos(1)));
    Options patient = options().waitFor(Duration.ofSeconds(Long.MAX_VALUE));
    Held held = new Lock("x", patient).acquire(Long.MAX_VALUE, TimeUnit.DAYS);
    CompletableFuture<Held> next = new Lock("x", patient).acquireAsync();
    held.release();
    next.get().release();
    assertThrows(
        IllegalArgumentException.class,
        () -> new Lock("x", options().ttl(Duration.ofSeconds(Long.MAX_VALUE))));
  }

  /** Who waits is told who has it, and at which place it stands; a listener may throw. */
  @Test
  void waiting() throws Exception {
    BlockingQueue<Waiting> told = new LinkedBlockingQueue<>();
    Held held = new Lock("x", options().identity("me")).acquire();
    Lock waits = lock();
    waits.onWaiting(
        seen -> {
          told.add(seen);
          throw new IllegalStateException("a callback's own");
        });
    CompletableFuture<Held> future = waits.acquireAsync();
    assertEquals("me", next(told).holder());
    Lock second = lock();
    second.onWaiting(told::add);
    Beside beside = new Beside(() -> second.acquire().release());
    assertEquals(2, next(told).position());
    held.release();
    future.get().release();
    beside.join();
  }

  /** A lock's clients end with them, and another URL's do not share. */
  @Test
  void clients() throws Exception {
    Client client = new Client(options().identity("mine"));
    Lock own = client.lock("x", new Options());
    Held held = own.acquire();
    assertEquals("mine", new Election("x", options()).leader().orElseThrow().holder());
    CountDownLatch failed = new CountDownLatch(1);
    client
        .lock("x", new Options())
        .acquireAsync()
        .whenComplete((none, failure) -> failed.countDown());
    client.close();
    client.close();
    failed.await();
    assertFalse(held.isHeld());
    assertThrows(NotHeldException.class, held::close);
    assertThrows(SyncException.class, own::tryLock);
    assertThrows(SyncException.class, () -> client.lock("y", new Options()));
    own.close();
    assertTrue(lock().tryLock());
  }
}
