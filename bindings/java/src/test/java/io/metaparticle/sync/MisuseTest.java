package io.metaparticle.sync;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;

/** What programs should not do, or not at such a moment: each has one clear rule. */
class MisuseTest extends Store {
  private final BlockingQueue<String> told = new LinkedBlockingQueue<>();

  private Election election() {
    return new Election("x", options());
  }

  private static void assertClosed(Executable call) {
    assertEquals(-12, assertThrows(SyncException.class, call).status());
  }

  private static boolean isClosed(Throwable thrown) {
    return thrown instanceof SyncException closed && closed.status() == -12;
  }

  /** All at the same moment; what any of them throws is thrown. */
  private static void atOnce(Body... bodies) throws Exception {
    CyclicBarrier barrier = new CyclicBarrier(bodies.length);
    List<Beside> threads = new ArrayList<>();
    for (Body body : bodies) {
      threads.add(
          new Beside(
              () -> {
                barrier.await();
                body.run();
              }));
    }
    for (Beside thread : threads) {
      thread.join();
    }
  }

  // ---- Work that never returns, and loops on one object ----

  /** It keeps its term after stop, and a warning names it each ttl, until it returns. */
  @Test
  void workThatNeverReturns() throws Exception {
    Election one = new Election("x", options().ttl(Duration.ofSeconds(4)));
    CountDownLatch mayReturn = new CountDownLatch(1);
    Logger logger = Logger.getLogger("io.metaparticle.sync");
    Handler handler = new Telling();
    logger.addHandler(handler);
    Beside beside =
        new Beside(
            () ->
                one.lead(
                    term -> {
                      one.stop();
                      while (mayReturn.getCount() > 0) {
                        assertThrows(InterruptedException.class, mayReturn::await);
                        told.add("told");
                        mayReturn.await();
                      }
                    }));
    assertEquals("told", next(told));
    for (int time = 0; time < 2; time++) {
      String warning = next(told);
      assertTrue(warning.startsWith("\"x\"") && warning.contains("still at work"), warning);
    }
    mayReturn.countDown();
    beside.join();
    logger.removeHandler(handler);
    assertTrue(lock().tryLock());
  }

  private final class Telling extends Handler {
    @Override
    public void publish(LogRecord record) {
      told.add(record.getMessage());
    }

    @Override
    public void flush() {}

    @Override
    public void close() {}
  }

  /** Of all that begin at once one leads, and the others are refused. */
  @Test
  void loopsThatBeginAtOnce() throws Exception {
    Election one = election();
    Body lead =
        () -> {
          try {
            one.lead(
                term -> {
                  for (int refused = 0; refused < 3; refused++) {
                    assertEquals("refused", next(told));
                  }
                  one.stop();
                });
          } catch (AlreadyHeldException e) {
            told.add("refused");
          }
        };
    atOnce(lead, lead, lead, lead);
  }

  // ---- From inside ----

  private Election first(Connection connection, Runnable elected, Runnable terminate) {
    Handle handle = Handle.election(connection.join(), "x", new Options());
    return new Election(handle, elected, terminate);
  }

  private void assertRefused(Election one) {
    assertThrows(AlreadyHeldException.class, one::run);
    assertThrows(AlreadyHeldException.class, () -> one.lead(term -> {}));
    assertThrows(AlreadyHeldException.class, () -> one.campaign(null));
    assertThrows(AlreadyHeldException.class, () -> one.campaign(null, 0, TimeUnit.SECONDS));
  }

  /** In the first package's functions run, lead and campaign throw; what ends a run is told. */
  @Test
  void callsOfTheFirstPackagesFunctions() throws Exception {
    Election[] one = {null};
    List<Body> ends =
        List.of(
            () -> one[0].resign(),
            () -> one[0].shutdown(),
            () -> one[0].stop(),
            () -> one[0].close());
    for (Body end : ends) {
      Body elected =
          () -> {
            assertRefused(one[0]);
            end.run();
            told.add("both");
          };
      Body terminate =
          () -> {
            end.run();
            told.add("both");
          };
      one[0] = new Election("x", options(), () -> call(elected), () -> call(terminate));
      Beside beside = new Beside(one[0]::run);
      assertEquals("both", next(told));
      assertEquals("both", next(told));
      one[0].shutdown();
      beside.join();
      told.clear();
      lock().acquire(60, TimeUnit.SECONDS).release();
    }
  }

  private void call(Body body) {
    try {
      body.run();
    } catch (Exception | AssertionError e) {
      told.add(e.toString());
    }
  }

  /** Closing the client in a function of the first package ends its run, which says so. */
  @Test
  void closesInTheFirstPackagesFunctions() throws Exception {
    Connection client = Connection.own(options());
    Election one = first(client, client::close, () -> told.add("terminate"));
    assertClosed(one::run);
    assertEquals("terminate", next(told));
    assertTrue(lock().tryLock());
  }

  /** What is told of losses, waits and leaders may close what tells it. */
  @Test
  void closesInCallbacks() throws Exception {
    Client client = new Client(brief());
    Lock one = client.lock("x", new Options());
    one.acquire()
        .lost()
        .thenRun(
            () ->
                call(
                    () -> {
                      one.close();
                      client.close();
                      told.add("closed");
                    }));
    takeByForce();
    assertEquals("closed", next(told));
    Held held = lock().acquire();
    Client second = new Client(options());
    Lock waits = second.lock("x", new Options());
    waits.onWaiting(waiting -> second.close());
    assertThrows(SyncException.class, waits::lock);
    Client third = new Client(options());
    third
        .election("x", new Options())
        .observe(
            leader -> {
              third.close();
              told.add("seen");
            });
    assertEquals("seen", next(told));
    held.release();
  }

  // ---- Closing ----

  /** Closing what is closed has no effect, however many threads do it at once. */
  @Test
  void closesFromSeveralThreads() throws Exception {
    for (int turn = 0; turn < 200; turn++) {
      Client client = new Client(options());
      Lock one = client.lock("x", new Options());
      Held held = one.acquire();
      atOnce(held::close, held::close, held::close);
      one.acquire();
      atOnce(one::close, one::close, one::close);
      Election candidate = client.election("x", new Options());
      Observation observation = candidate.observe(leader -> {});
      candidate.campaign(null);
      atOnce(candidate::close, candidate::close, observation::close, observation::close);
      atOnce(client::close, client::close, client::close);
    }
    assertTrue(lock().tryLock());
  }

  /** Closing a lock while its client closes has no effect, and neither fails. */
  @Test
  void closesWhileTheClientCloses() throws Exception {
    for (int turn = 0; turn < 200; turn++) {
      Client client = new Client(options());
      Lock one = client.lock("x", new Options());
      one.acquire();
      Election candidate = client.election("y", new Options());
      candidate.campaign(null);
      Observation observation = candidate.observe(leader -> {});
      atOnce(client::close, one::close, candidate::close, observation::close);
      lock().acquire(60, TimeUnit.SECONDS).release();
      new Lock("y", url).acquire(60, TimeUnit.SECONDS).release();
    }
  }

  /** A lock that is closed takes back what it asked for, whatever has become of it. */
  @Test
  void closesWhileItAsks() throws Exception {
    for (int turn = 0; turn < 200; turn++) {
      Lock one = lock();
      CompletableFuture<Held> asked = one.acquireAsync();
      one.close();
      assertClosed(one::lock);
      Held held = asked.handle((granted, failure) -> granted).get();
      assertFalse(one.isHeld() || held != null && held.isHeld());
    }
    assertTrue(lock().tryLock(60, TimeUnit.SECONDS));
  }

  /** An election that is closed as it begins to lead leads no more, or never does. */
  @Test
  void closesAsItBegins() throws Exception {
    for (int turn = 0; turn < 100; turn++) {
      Election one = election();
      Beside leads = new Beside(() -> one.lead(term -> Thread.sleep(Long.MAX_VALUE)));
      one.close();
      assertTrue(leads.thrown() == null || isClosed(leads.thrown()), () -> "" + thrown(leads));
    }
    assertTrue(lock().tryLock(60, TimeUnit.SECONDS));
  }

  private static Throwable thrown(Beside beside) {
    try {
      return beside.thrown();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** After closing: what asks is refused, what ends has no effect, what is asked answers no. */
  @Test
  void usesAfterClosing() throws Exception {
    for (Body close : closings()) {
      close.run();
      List<Executable> asks =
          List.of(
              closed::lock,
              closed::tryLock,
              closed::lockInterruptibly,
              closed::acquire,
              () -> closed.tryLock(1, TimeUnit.SECONDS),
              closed::acquireAsync,
              closedElection::run,
              () -> closedElection.lead(term -> {}),
              () -> closedElection.campaign(null),
              () -> closedElection.campaignAsync(null));
      asks.forEach(MisuseTest::assertClosed);
      List<Executable> ends =
          List.of(
              closed::cancel,
              closed::close,
              closedElection::cancel,
              closedElection::stop,
              closedElection::shutdown,
              closedElection::close);
      ends.forEach(end -> assertDoesNotThrow(end));
      assertThrows(NotHeldException.class, closed::unlock);
      assertThrows(NotHeldException.class, closedElection::resign);
      assertFalse(closed.isHeld() || closedElection.isLeader());
      assertEquals(0, closed.token());
    }
  }

  private Lock closed;
  private Election closedElection;

  private List<Body> closings() {
    Body own =
        () -> {
          closed = lock();
          closedElection = new Election("y", options());
          closed.lock();
          closedElection.campaign(null);
          closed.close();
          closedElection.close();
        };
    Body clients =
        () -> {
          Client client = new Client(options());
          closed = client.lock("x", new Options());
          closedElection = client.election("y", new Options());
          closed.lock();
          closedElection.campaign(null);
          client.close();
          assertClosed(() -> closedElection.observe(leader -> {}));
          assertClosed(closedElection::leader);
          assertClosed(() -> client.lock("x", new Options()));
        };
    return List.of(own, clients);
  }

  /** Who asks who leads, of a store that does not answer, is told that the client was closed. */
  @Test
  void closesWhileItIsAskedForTheLeader() throws Exception {
    try (ServerSocket silent = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      String elector = "http://127.0.0.1:" + silent.getLocalPort();
      Client client = new Client(options().url(elector));
      Beside asks = new Beside(() -> client.election("x", new Options()).leader());
      try (Socket asked = silent.accept()) {
        client.close();
        assertTrue(isClosed(asks.thrown()), () -> "" + thrown(asks));
      }
    }
  }

  // ---- What ends a wait or a run, while the client closes ----

  private enum State {
    STANDING,
    LEADING,
    DRAINING
  }

  /** A client with two waits and a run, each of which somebody cuts. */
  private final class Cuttable {
    final Client client = new Client(options());
    final Lock lock = client.lock("x", new Options());
    final CompletableFuture<Held> future;
    final Beside thread;
    final Election election;
    final Beside run;
    final CountDownLatch workMayEnd = new CountDownLatch(1);

    Cuttable(State state) throws InterruptedException {
      CountDownLatch waits = new CountDownLatch(1);
      CountDownLatch reached = new CountDownLatch(1);
      Lock other = client.lock("x", new Options());
      other.onWaiting(seen -> waits.countDown());
      thread = new Beside(other::lockInterruptibly);
      future = lock.acquireAsync();
      election = client.election(state == State.STANDING ? "x" : "y", new Options());
      election.onWaiting(seen -> reached.countDown());
      run = new Beside(() -> election.lead(term -> work(state, reached)));
      waits.await();
      reached.await();
    }

    private void work(State state, CountDownLatch reached) throws InterruptedException {
      if (state == State.DRAINING) {
        election.stop();
        assertThrows(InterruptedException.class, workMayEnd::await);
      }
      reached.countDown();
      workMayEnd.await();
    }

    void assertEnded() throws Exception {
      assertCut(thread.thrown());
      assertCut(run.thrown());
      Throwable failed = future.handle((granted, failure) -> failure).get();
      assertTrue(failed != null);
      assertCut(failed instanceof CompletionException ? failed.getCause() : failed);
    }
  }

  private static final List<Consumer<Cuttable>> CUTS =
      List.of(
          one -> one.future.cancel(true),
          one -> one.future.orTimeout(1, TimeUnit.NANOSECONDS),
          one -> one.lock.cancel(),
          one -> one.lock.close(),
          one -> one.thread.interrupt(),
          one -> one.run.interrupt(),
          one -> one.election.stop(),
          one -> one.election.shutdown(),
          one -> one.election.cancel(),
          one -> one.election.close());

  private static void assertCut(Throwable thrown) {
    assertTrue(
        thrown == null
            || thrown instanceof InterruptedException
            || thrown instanceof CancellationException
            || thrown instanceof TimeoutException
            || thrown instanceof SyncException ended && Set.of(-12, -6).contains(ended.status()),
        () -> "" + thrown);
  }

  /** Neither fails; each wait and each run ends, in whatever state, and nothing is held. */
  @Test
  void cutsWhileTheClientCloses() throws Exception {
    for (int turn = 0; turn < 5; turn++) {
      for (State state : State.values()) {
        for (Consumer<Cuttable> cut : CUTS) {
          Held held = lock().acquire();
          Cuttable one = new Cuttable(state);
          atOnce(one.client::close, () -> cut.accept(one));
          one.assertEnded();
          held.release();
          lock().acquire(60, TimeUnit.SECONDS).release();
          new Lock("y", url).acquire(60, TimeUnit.SECONDS).release();
          one.workMayEnd.countDown();
        }
      }
    }
  }

  /** Work that returns, fails or resigns while the client closes: lead says that it was closed. */
  @Test
  void worksEndWhileTheClientCloses() throws Exception {
    List<Work> ends =
        List.of(
            term -> {},
            Held::release,
            term -> {
              throw new java.io.IOException("the work's own");
            });
    for (int turn = 0; turn < 60; turn++) {
      Work end = ends.get(turn % ends.size());
      Client client = new Client(options());
      Election one = client.election("x", new Options());
      CountDownLatch begun = new CountDownLatch(1);
      Beside leads =
          new Beside(
              () ->
                  one.lead(
                      term -> {
                        begun.countDown();
                        try {
                          Thread.sleep(Long.MAX_VALUE);
                        } catch (InterruptedException e) {
                          end.run(term);
                        }
                      }));
      begun.await();
      atOnce(client::close, client::close);
      assertTrue(isClosed(leads.thrown()), () -> "" + thrown(leads));
      lock().acquire(60, TimeUnit.SECONDS).release();
    }
  }

  // ---- Exits ----

  /** What ends a process; in the state that it is told, with the code that it ends with. */
  private enum Way {
    RETURN(0, () -> {}),
    EXIT(7, () -> System.exit(7)),
    HALT(8, () -> Runtime.getRuntime().halt(8)),
    THROW(
        1,
        () -> {
          throw new IllegalStateException("the program's own");
        }),
    TERM(128 + 15, () -> signal("TERM")),
    KILL(128 + 9, () -> signal("KILL"));

    private final int code;
    private final Body body;

    Way(int code, Body body) {
      this.code = code;
      this.body = body;
    }

    private static void signal(String name) throws Exception {
      new ProcessBuilder("kill", "-" + name, "" + ProcessHandle.current().pid()).start();
      Thread.sleep(Long.MAX_VALUE);
    }
  }

  /** They end as they would without the lock, in whatever state, and the next one has it. */
  @Test
  @Timeout(300)
  void exits() throws Exception {
    String file = "file:" + folder + "/locks.db";
    for (State state : State.values()) {
      List<Process> programs = new ArrayList<>();
      List<Lock> names = new ArrayList<>();
      for (Way way : Way.values()) {
        String name = state + " " + way;
        names.add(new Lock(name, file));
        if (state == State.STANDING) {
          names.get(names.size() - 1).lock();
        }
        programs.add(start(Ends.class, file, name, state.name(), way.name()));
      }
      for (Way way : Way.values()) {
        Process program = programs.get(way.ordinal());
        assertEquals("reached", program.inputReader().readLine());
        program.getOutputStream().close();
        assertEquals(way.code, program.waitFor(), state + " " + way);
        Lock lock = names.get(way.ordinal());
        lock.close();
        new Lock(state + " " + way, file).acquire(60, TimeUnit.SECONDS).release();
      }
    }
  }

  /** A candidate that reaches its state, says so, waits for a word, and ends. */
  static final class Ends {
    public static void main(String[] words) throws Exception {
      State state = State.valueOf(words[2]);
      CountDownLatch reached = new CountDownLatch(1);
      Election election = new Election(words[1], words[0], () -> {}, () -> {});
      election.onWaiting(seen -> reached.countDown());
      Thread leads = new Thread(() -> lead(election, state, reached));
      leads.setDaemon(true);
      leads.start();
      reached.await();
      if (words[3].equals("CHILD")) {
        new ProcessBuilder("sleep", "600").redirectInput(ProcessBuilder.Redirect.PIPE).start();
      }
      System.out.println("reached");
      System.in.read();
      Way.valueOf(words[3]).body.run();
    }

    private static void lead(Election election, State state, CountDownLatch reached) {
      try {
        election.lead(
            term -> {
              if (state == State.DRAINING) {
                election.stop();
                assertThrows(InterruptedException.class, () -> Thread.sleep(Long.MAX_VALUE));
              }
              reached.countDown();
              new CountDownLatch(1).await();
            });
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
    }
  }

  /** An exit in the work, which the exit does not wait for. */
  @Test
  @Timeout(300)
  void exitsInTheWork() throws Exception {
    String file = "file:" + folder + "/locks.db";
    Process program = start(EndsInTheWork.class, file);
    assertEquals(7, program.waitFor());
    new Lock("x", file).acquire(60, TimeUnit.SECONDS).release();
  }

  static final class EndsInTheWork {
    public static void main(String[] words) throws Exception {
      new Election("x", new Options().url(words[0])).lead(term -> System.exit(7));
    }
  }

  /** A child process holds nothing of its parent, whose death it survives. */
  @Test
  @Timeout(300)
  void childProcesses() throws Exception {
    String file = "file:" + folder + "/locks.db";
    for (State state : State.values()) {
      Lock holder = new Lock(state.name(), file);
      if (state == State.STANDING) {
        holder.lock();
      }
      Process program = start(Ends.class, file, state.name(), state.name(), "CHILD");
      assertEquals("reached", program.inputReader().readLine());
      ProcessHandle child = program.children().findFirst().orElseThrow();
      program.destroyForcibly().waitFor();
      assertTrue(child.isAlive());
      holder.close();
      new Lock(state.name(), file).acquire(60, TimeUnit.SECONDS).release();
      child.destroyForcibly();
    }
  }
}
