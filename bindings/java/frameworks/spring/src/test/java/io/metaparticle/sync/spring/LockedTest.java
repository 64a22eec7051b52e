package io.metaparticle.sync.spring;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.metaparticle.sync.Client;
import io.metaparticle.sync.Lock;
import io.metaparticle.sync.LockTimeoutException;
import io.metaparticle.sync.Options;
import io.metaparticle.sync.SyncException;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.aspectj.lang.ProceedingJoinPoint;
import org.aspectj.lang.annotation.Around;
import org.aspectj.lang.annotation.Aspect;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.EnableAspectJAutoProxy;

/** Beans of a context whose methods run under locks. */
@Timeout(180)
class LockedTest {
  private static final AtomicInteger STORES = new AtomicInteger();
  private static String url;

  private AnnotationConfigApplicationContext context;
  private Shop shop;
  private Client other;

  @BeforeEach
  void begin() {
    url = "memory:spring" + STORES.incrementAndGet();
    context = new AnnotationConfigApplicationContext(Beans.class);
    shop = context.getBean(Shop.class);
    other = new Client(new Options().url(url));
  }

  @AfterEach
  void end() {
    context.close();
    other.close();
  }

  /** The program. */
  @Configuration
  @EnableAspectJAutoProxy
  static class Beans {
    /** The first bean, so that nothing but their order puts the lock around it. */
    @Bean
    Within within() {
      return new Within();
    }

    @Bean
    Client client() {
      return new Client(new Options().url(url));
    }

    @Bean
    LockedAspect lockedAspect(Client client) {
      return new LockedAspect(client);
    }

    @Bean
    Shop shop() {
      return new Shop();
    }

    @Bean
    Counter counter() {
      return new Counter();
    }
  }

  /** What a transaction is in other programs: an aspect without an order. */
  @Aspect
  static class Within {
    private Runnable around = () -> {};

    @Around("@annotation(Locked)")
    public Object around(ProceedingJoinPoint call) throws Throwable {
      around.run();
      Object result = call.proceed();
      around.run();
      return result;
    }
  }

  static class Counter {
    @Locked("orders/#{#id}")
    public String count(long id) {
      return "counted " + id;
    }
  }

  static class Shop {
    @Locked("orders/#{#id}")
    public <T> T ship(long id, Supplier<T> work) {
      return work.get();
    }

    @Locked(value = "orders/#{#p0}", waitFor = "0s", ttl = "10s")
    public String tryToShip(long id) {
      return "shipped " + id;
    }

    @Locked("orders/1")
    public CompletableFuture<String> shipLater(CompletableFuture<String> shipped) {
      return shipped;
    }

    @Locked("orders/1")
    public Future<String> shipSomehow() {
      return CompletableFuture.completedFuture("");
    }
  }

  private boolean isFree(String name) {
    try (Lock lock = other.lock(name, new Options())) {
      return lock.tryLock();
    }
  }

  /** The lock of the name with the argument in it is held in the method, and only there. */
  @Test
  void namesFromArguments() {
    assertFalse(shop.ship(1, () -> isFree("orders/1")));
    assertTrue(shop.ship(1, () -> isFree("orders/2")));
    assertTrue(isFree("orders/1"));
  }

  /** A method that may not wait throws where another holder has the lock. */
  @Test
  void waiting() throws Exception {
    try (Lock lock = other.lock("orders/1", new Options())) {
      lock.acquire();
      assertThrows(LockTimeoutException.class, () -> shop.tryToShip(1));
    }
    assertEquals("shipped 1", shop.tryToShip(1));
  }

  /** A thread that has the lock enters other methods of the same name. */
  @Test
  void reentering() {
    Counter counter = context.getBean(Counter.class);
    assertEquals("counted 1", shop.ship(1, () -> counter.count(1)));
    assertTrue(isFree("orders/1"));
  }

  /** What a method throws comes out of it, and the lock is released. */
  @Test
  void failures() {
    Supplier<String> failing =
        () -> {
          throw new UnsupportedOperationException("a method's own");
        };
    assertThrows(UnsupportedOperationException.class, () -> shop.ship(1, failing));
    assertTrue(isFree("orders/1"));
  }

  /** It comes out also if the lock was lost meanwhile, which stands beside it. */
  @Test
  void failuresAfterLosses() {
    Supplier<String> failing =
        () -> {
          context.getBean(Client.class).close();
          throw new UnsupportedOperationException("a method's own");
        };
    UnsupportedOperationException thrown =
        assertThrows(UnsupportedOperationException.class, () -> shop.ship(1, failing));
    assertEquals(1, thrown.getSuppressed().length);
  }

  /** A result of work under a lock that was lost is an exception. */
  @Test
  void losses() {
    assertThrows(
        SyncException.class,
        () ->
            shop.ship(
                1,
                () -> {
                  context.getBean(Client.class).close();
                  return "as if it had it";
                }));
  }

  /** The lock of work that a stage stands for is held until the stage completes. */
  @Test
  void stages() {
    CompletableFuture<String> shipped = new CompletableFuture<>();
    CompletableFuture<String> told = shop.shipLater(shipped);
    assertFalse(isFree("orders/1"));
    assertFalse(told.isDone());
    shipped.complete("shipped");
    assertEquals("shipped", told.join());
    assertTrue(isFree("orders/1"));
  }

  /** The thread of a stage that is not complete does not enter again: its lock is the stage's. */
  @Test
  void stagesKeepTheLockForThemselves() {
    CompletableFuture<String> shipped = new CompletableFuture<>();
    CompletableFuture<String> told = shop.shipLater(shipped);
    assertThrows(LockTimeoutException.class, () -> shop.tryToShip(1));
    shipped.completeExceptionally(new UnsupportedOperationException("a stage's own"));
    assertThrows(java.util.concurrent.CompletionException.class, told::join);
    assertEquals("shipped 1", shop.tryToShip(1));
  }

  /** What says neither by its return nor by a stage when its work ends is refused. */
  @Test
  void futures() {
    assertThrows(IllegalStateException.class, shop::shipSomehow);
  }

  /** The lock is around aspects that have no order, as transactions. */
  @Test
  void order() {
    AtomicInteger free = new AtomicInteger();
    AtomicInteger calls = new AtomicInteger();
    context.getBean(Within.class).around =
        () -> {
          calls.incrementAndGet();
          free.addAndGet(isFree("orders/1") ? 1 : 0);
        };
    shop.tryToShip(1);
    assertEquals(2, calls.get());
    assertEquals(0, free.get());
  }

  /** An interrupt ends the waiting, and stays for the caller to see. */
  @Test
  void interrupts() throws Exception {
    try (Lock lock = other.lock("orders/1", new Options())) {
      lock.acquire();
      CompletableFuture<Boolean> interrupted = new CompletableFuture<>();
      Thread waiting =
          new Thread(
              () -> {
                assertThrows(CancellationException.class, () -> shop.ship(1, () -> "never"));
                interrupted.complete(Thread.currentThread().isInterrupted());
              });
      waiting.start();
      waiting.interrupt();
      assertTrue(interrupted.get(60, TimeUnit.SECONDS));
    }
  }
}
