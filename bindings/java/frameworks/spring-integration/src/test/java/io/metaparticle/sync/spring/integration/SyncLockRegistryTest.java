package io.metaparticle.sync.spring.integration;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.metaparticle.sync.Client;
import io.metaparticle.sync.LockLostException;
import io.metaparticle.sync.Options;
import io.metaparticle.sync.internal.Native;
import io.metaparticle.sync.internal.SWIGTYPE_p_mpsync_client;
import io.metaparticle.sync.internal.SWIGTYPE_p_mpsync_queue;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.Lock;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.event.EventListener;
import org.springframework.integration.config.EnableIntegration;
import org.springframework.integration.leader.event.OnGrantedEvent;
import org.springframework.integration.leader.event.OnRevokedEvent;
import org.springframework.integration.support.leader.LockRegistryLeaderInitiator;
import org.springframework.integration.support.locks.LockRegistry;

/** Two registries, as those of two processes, and Spring Integration over one of them. */
@Timeout(180)
class SyncLockRegistryTest {
  private static final AtomicInteger STORES = new AtomicInteger();
  private static String url;

  {
    url = "memory:integration" + STORES.incrementAndGet();
  }

  private final Client here = client();
  private final Client there = client();
  private final SyncLockRegistry one = new SyncLockRegistry(here);
  private final SyncLockRegistry other = new SyncLockRegistry(there);

  /** One that soon hears of a loss. */
  private static Client client() {
    return new Client(new Options().url(url).ttl(Duration.ofSeconds(6)));
  }

  @AfterEach
  void close() {
    here.close();
    there.close();
  }

  private boolean isFreeForOther() {
    Lock lock = other.obtain("key");
    boolean free = lock.tryLock();
    if (free) {
      lock.unlock();
    }
    return free;
  }

  private static boolean inAnotherThread(Callable<Boolean> body) throws Exception {
    CompletableFuture<Boolean> done = new CompletableFuture<>();
    new Thread(
            () -> {
              try {
                done.complete(body.call());
              } catch (Throwable e) {
                done.completeExceptionally(e);
              }
            })
        .start();
    return done.get(60, TimeUnit.SECONDS);
  }

  private static void takeByForce(String name) {
    SWIGTYPE_p_mpsync_queue queue = Native.mpsync_queue_new();
    SWIGTYPE_p_mpsync_client client =
        Native.mpsync_client_open(url.getBytes(StandardCharsets.UTF_8), null, queue);
    Native.mpsync_client_force_release(client, name.getBytes(StandardCharsets.UTF_8), 1);
    Native.mpsync_client_close(client);
    Native.mpsync_queue_free(queue);
  }

  /** Two registries exclude each other; keys of equal text are one lock, and others are others. */
  @Test
  void keys() {
    assertSame(one.obtain("key"), one.obtain(new StringBuilder("key")));
    Lock lock = one.obtain("key");
    lock.lock();
    assertFalse(isFreeForOther());
    assertTrue(other.obtain("another key").tryLock());
    lock.unlock();
    assertTrue(isFreeForOther());
  }

  /** A thread locks once more what it has, by every way in, and unlocks it as often. */
  @Test
  void reentering() throws Exception {
    Lock lock = one.obtain("key");
    lock.lock();
    lock.lock();
    lock.lockInterruptibly();
    assertTrue(lock.tryLock());
    assertTrue(lock.tryLock(1, TimeUnit.SECONDS));
    for (int held = 4; held > 0; held--) {
      lock.unlock();
      assertFalse(isFreeForOther());
    }
    lock.unlock();
    assertTrue(isFreeForOther());
    assertThrows(IllegalMonitorStateException.class, lock::unlock);
  }

  /** Threads of one process wait for one another, and unlock nothing that is another's. */
  @Test
  void threads() throws Exception {
    Lock lock = one.obtain("key");
    lock.lock();
    assertFalse(inAnotherThread(lock::tryLock));
    assertFalse(inAnotherThread(() -> lock.tryLock(10, TimeUnit.MILLISECONDS)));
    ExecutionException refused =
        assertThrows(
            ExecutionException.class,
            () ->
                inAnotherThread(
                    () -> {
                      lock.unlock();
                      return true;
                    }));
    assertEquals(IllegalMonitorStateException.class, refused.getCause().getClass());
    assertFalse(isFreeForOther());
    lock.unlock();
    assertTrue(inAnotherThread(this::isFreeForOther));
  }

  /** A wait is bounded, also for one that has its turn among the threads; and leaves nothing. */
  @Test
  void bounds() throws Exception {
    Lock others = other.obtain("key");
    others.lock();
    Lock lock = one.obtain("key");
    assertFalse(lock.tryLock());
    assertFalse(lock.tryLock(10, TimeUnit.MILLISECONDS));
    Thread.currentThread().interrupt();
    assertThrows(InterruptedException.class, lock::lockInterruptibly);
    others.unlock();
    assertTrue(inAnotherThread(lock::tryLock));
  }

  /** The framework's own ways to run work under a lock. */
  @Test
  void executeLocked() throws Throwable {
    assertEquals(Boolean.FALSE, one.executeLocked("key", () -> isFreeForOther()));
    assertTrue(isFreeForOther());
    Lock others = other.obtain("key");
    others.lock();
    assertThrows(
        TimeoutException.class,
        () -> one.executeLocked("key", Duration.ofMillis(10), () -> "never"));
  }

  /** A loss is told; then the thread has nothing any more, however often it had locked. */
  @Test
  void losses() throws Exception {
    Lock lock = one.obtain("key");
    lock.lock();
    lock.lock();
    lose();
    assertFalse(lock.tryLock());
    assertThrows(IllegalMonitorStateException.class, lock::unlock);
    lock.lock();
    lose();
    assertThrows(IllegalStateException.class, lock::lock);
    lock.lock();
    lose();
    assertThrows(IllegalStateException.class, lock::unlock);
    assertTrue(lock.tryLock());
  }

  /** Takes the key, and waits until its holder has heard of that. */
  private static void lose() throws InterruptedException {
    BlockingQueue<Throwable> uncaught = new LinkedBlockingQueue<>();
    Thread.setDefaultUncaughtExceptionHandler((thread, e) -> uncaught.add(e));
    takeByForce("key");
    assertInstanceOf(LockLostException.class, uncaught.poll(60, TimeUnit.SECONDS));
    Thread.setDefaultUncaughtExceptionHandler(null);
  }

  /**
   * What is held is known to the registry, though nobody refers to it; what is not is forgotten.
   */
  @Test
  void collection() throws Exception {
    one.obtain("key").lock();
    one.obtain("another key").lock();
    one.obtain("another key").unlock();
    while (one.size() > 1) {
      System.gc();
      Thread.onSpinWait();
    }
    one.obtain("key").unlock();
    assertTrue(isFreeForOther());
  }

  /** A program of Spring Integration, which stands for leader. */
  @Configuration
  @EnableIntegration
  static class Leading {
    private final BlockingQueue<String> told = new LinkedBlockingQueue<>();

    @Bean
    Client client() {
      return SyncLockRegistryTest.client();
    }

    @Bean
    LockRegistry locks(Client client) {
      return new SyncLockRegistry(client, "leaders/", new Options());
    }

    @Bean
    LockRegistryLeaderInitiator initiator(LockRegistry locks) {
      LockRegistryLeaderInitiator initiator = new LockRegistryLeaderInitiator(locks);
      initiator.setHeartBeatMillis(10);
      initiator.setBusyWaitMillis(10);
      return initiator;
    }

    @EventListener
    void granted(OnGrantedEvent event) {
      told.add("granted");
    }

    @EventListener
    void revoked(OnRevokedEvent event) {
      told.add("revoked");
    }

    private void expect(String event) throws InterruptedException {
      String next = told.poll(60, TimeUnit.SECONDS);
      assertEquals(event, next);
    }
  }

  /** The framework's leader hears of a loss, and leads again. */
  @Test
  void leaders() throws Exception {
    try (AnnotationConfigApplicationContext context =
        new AnnotationConfigApplicationContext(Leading.class)) {
      Leading leading = context.getBean(Leading.class);
      leading.expect("granted");
      takeByForce("leaders/leader");
      leading.expect("revoked");
      leading.expect("granted");
    }
  }
}
