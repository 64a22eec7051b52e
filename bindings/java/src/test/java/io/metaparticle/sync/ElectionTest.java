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
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** Terms, by lead and by the first package's run, whatever ends them. */
class ElectionTest extends Store {
  private final BlockingQueue<String> told = new LinkedBlockingQueue<>();

  private Election election() {
    return new Election("x", brief());
  }

  private void work(Held term) throws InterruptedException {
    told.add("term");
    try {
      Thread.sleep(Long.MAX_VALUE);
    } finally {
      told.add("stopped");
    }
  }

  /** The work is interrupted and told why; lead returns when it has ended. */
  @Test
  void leadsUntilItIsStopped() throws Exception {
    Election one = election();
    BlockingQueue<Ending> endings = new LinkedBlockingQueue<>();
    Beside beside =
        new Beside(
            () ->
                one.lead(
                    term -> {
                      term.ending().thenAccept(endings::add);
                      assertTrue(term.isHeld() && one.isLeader() && term.token() != 0);
                      assertEquals("v", one.leader().orElseThrow().value());
                      one.setValue("w");
                      work(term);
                    },
                    "v"));
    assertEquals("term", next(told));
    one.stop();
    assertEquals(new Ending("stopped", Optional.empty()), next(endings));
    beside.join();
    assertEquals("stopped", next(told));
    assertTrue(lock().tryLock() && !one.isLeader());
  }

  /** While the work ends the term stays its own, and nobody else leads. */
  @Test
  void drains() throws Exception {
    Election one = new Election("x", options());
    CountDownLatch ends = new CountDownLatch(1);
    Beside beside =
        new Beside(
            () ->
                one.lead(
                    term -> {
                      try {
                        work(term);
                      } catch (InterruptedException e) {
                        ends.await();
                        told.add("held " + term.isHeld());
                      }
                    }));
    assertEquals("term", next(told));
    one.stop();
    assertEquals("stopped", next(told));
    assertFalse(lock().tryLock(16, TimeUnit.SECONDS), "longer than the ttl");
    ends.countDown();
    assertEquals("held true", next(told));
    beside.join();
    assertTrue(lock().tryLock());
  }

  /** Work that never ends: given back at the drain's limit. */
  @Test
  void drainsNoLongerThanItsLimit() throws Exception {
    CountDownLatch never = new CountDownLatch(1);
    Election one = new Election("x", brief().drain(Duration.ofMillis(100)));
    Beside beside =
        new Beside(
            () ->
                one.lead(
                    term -> {
                      told.add("term");
                      while (never.getCount() > 0) {
                        try {
                          never.await();
                        } catch (InterruptedException e) {
                          told.add("goes on");
                        }
                      }
                    }));
    assertEquals("term", next(told));
    one.stop();
    assertEquals("goes on", next(told));
    assertTrue(lock().tryLock(60, TimeUnit.SECONDS));
    never.countDown();
    beside.join();
  }

  /** Work that returns or throws, a term that is resigned or lost: it stands again. */
  @Test
  void standsAgain() throws Exception {
    Election one = election();
    Body[] terms = {
      () -> {},
      () -> {
        throw new java.io.IOException("the work's own");
      },
      () -> {
        throw new AssertionError("the work's own");
      },
      one::resign,
      () -> {
        takeByForce();
        work(null);
      }
    };
    int[] count = {0};
    BlockingQueue<Long> tokens = new LinkedBlockingQueue<>();
    Beside beside =
        new Beside(
            () ->
                one.lead(
                    term -> {
                      tokens.add(term.token());
                      if (count[0] == terms.length) {
                        one.stop();
                        return;
                      }
                      terms[count[0]++].run();
                    }));
    beside.join();
    long before = 0;
    for (int i = 0; i <= terms.length; i++) {
      long token = next(tokens);
      assertTrue(token > before);
      before = token;
    }
    assertTrue(lock().tryLock());
  }

  /** What the work may call from inside does not block on itself. */
  @Test
  void fromInside() throws Exception {
    Election one = election();
    Lock other = new Lock("y", url);
    Beside beside =
        new Beside(
            () ->
                one.lead(
                    term -> {
                      assertThrows(AlreadyHeldException.class, () -> one.lead(this::work));
                      assertThrows(AlreadyHeldException.class, one::run);
                      assertThrows(AlreadyHeldException.class, () -> one.campaign(null));
                      other.lock();
                      other.unlock();
                      term.release();
                      one.shutdown();
                      one.close();
                      told.add("end");
                    }));
    beside.join();
    assertEquals("end", next(told));
    assertTrue(lock().tryLock());
    assertThrows(SyncException.class, () -> one.lead(this::work));
  }

  /** A stop counts also for the run that has not begun, and for that one only. */
  @Test
  void stoppedBeforeItBegins() throws Exception {
    Election one = election();
    one.stop();
    one.lead(this::work);
    Beside again = new Beside(() -> one.lead(this::work));
    assertEquals("term", next(told));
    one.stop();
    again.join();
  }

  /** An interrupt stops the run, in a term and while it waits. */
  @Test
  void interrupted() throws Exception {
    Election one = election();
    Beside leads = new Beside(() -> one.lead(this::work));
    assertEquals("term", next(told));
    CountDownLatch waits = new CountDownLatch(1);
    Election two = election();
    two.onWaiting(waiting -> waits.countDown());
    Beside stands = new Beside(() -> two.lead(this::work));
    waits.await();
    stands.interrupt();
    assertInstanceOf(InterruptedException.class, stands.thrown());
    leads.interrupt();
    assertInstanceOf(InterruptedException.class, leads.thrown());
    assertEquals("stopped", next(told));
    assertTrue(lock().tryLock());
  }

  /** The option wait ends lead as it ends campaign. */
  @Test
  void waitsNoLongerThanItMay() throws Exception {
    lock().lock();
    Election one = new Election("x", options().waitFor(Duration.ofMillis(10)));
    assertThrows(LockTimeoutException.class, () -> one.lead(this::work));
    assertThrows(LockTimeoutException.class, () -> one.campaign(null));
  }

  /** The client is closed under the work: it is told, and not waited for. */
  @Test
  void closedUnderTheWork() throws Exception {
    Client client = new Client(brief());
    Election one = client.election("x", new Options());
    BlockingQueue<Ending> endings = new LinkedBlockingQueue<>();
    Beside beside =
        new Beside(
            () ->
                one.lead(
                    term -> {
                      term.ending().thenAccept(endings::add);
                      told.add("term");
                      client.close();
                      work(term);
                    }));
    assertEquals("term", next(told));
    assertEquals("closed", next(endings).reason());
    assertEquals(-12, ((SyncException) beside.thrown()).status());
    assertTrue(lock().tryLock());
  }

  private Election first(Runnable elected) {
    return new Election("x", brief(), elected, () -> told.add("terminate"));
  }

  /** One call of terminate for each of elected, whatever ended the term; then it stands again. */
  @Test
  void terminatesOncePerTerm() throws Exception {
    BlockingQueue<Runnable> works = new LinkedBlockingQueue<>();
    Election one =
        first(
            () -> {
              told.add("elected");
              works.remove().run();
            });
    works.add(() -> {});
    works.add(one::resign);
    works.add(
        () -> {
          throw new AssertionError("the program's own");
        });
    works.add(this::takeByForce);
    works.add(one::shutdown);
    Beside beside = new Beside(one::run);
    assertEquals("elected", next(told));
    one.resign();
    for (int term = 1; term < 5; term++) {
      assertEquals("terminate", next(told));
      assertEquals("elected", next(told));
    }
    assertEquals("terminate", next(told));
    beside.join();
    assertNull(told.poll());
    assertTrue(lock().tryLock());
  }

  /** Both functions have returned before another may lead. */
  @Test
  void drainsForTheFirstPackage() throws Exception {
    CountDownLatch ends = new CountDownLatch(1);
    Election one =
        new Election(
            "x",
            options(),
            () -> {
              told.add("elected");
              try {
                ends.await();
              } catch (InterruptedException e) {
                told.add("interrupted");
              }
            },
            () -> told.add("terminate"));
    Beside beside = new Beside(one::run);
    assertEquals("elected", next(told));
    one.shutdown();
    assertEquals("terminate", next(told));
    assertFalse(lock().tryLock(16, TimeUnit.SECONDS), "longer than the ttl");
    assertTrue(one.isLeader());
    ends.countDown();
    beside.join();
    assertTrue(lock().tryLock());
  }

  /** shutdownNow, close, and a shutdown that meets the beginning: each ends run. */
  @Test
  void endsOfRun() throws Exception {
    ExecutorService pool = Executors.newSingleThreadExecutor();
    pool.submit(first(() -> told.add("elected")));
    assertEquals("elected", next(told));
    pool.shutdownNow();
    assertTrue(pool.awaitTermination(60, TimeUnit.SECONDS));
    assertEquals("terminate", next(told));

    Election closed = first(() -> told.add("elected"));
    Beside beside = new Beside(closed::run);
    assertEquals("elected", next(told));
    closed.close();
    beside.join();
    assertEquals("terminate", next(told));

    for (int turn = 0; turn < 50; turn++) {
      Election met = first(() -> {});
      Beside beginning = new Beside(met::run);
      met.shutdown();
      beginning.join();
    }
  }

  /**
   * As in the first package: a shutdown before run, by the thread that then runs, has no effect.
   */
  @Test
  void shutdownBeforeRun() throws Exception {
    Election[] one = {null};
    one[0] =
        first(
            () -> {
              told.add("elected");
              one[0].shutdown();
            });
    for (int turn = 0; turn < 2; turn++) {
      one[0].shutdown();
      one[0].run();
      assertEquals("elected", next(told));
      assertEquals("terminate", next(told));
    }
  }

  /** Two loops on one object: the second is refused, and the first goes on. */
  @Test
  void twoLoops() throws Exception {
    Election one = first(() -> told.add("elected"));
    Beside beside = new Beside(one::run);
    assertEquals("elected", next(told));
    assertThrows(AlreadyHeldException.class, one::run);
    assertThrows(AlreadyHeldException.class, () -> one.lead(this::work));
    assertTrue(one.isLeader());
    one.shutdown();
    beside.join();
  }
}
