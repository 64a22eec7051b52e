import io.metaparticle.sync.Client;
import io.metaparticle.sync.Election;
import io.metaparticle.sync.Ending;
import io.metaparticle.sync.Held;
import io.metaparticle.sync.Leader;
import io.metaparticle.sync.Lock;
import io.metaparticle.sync.LockTimeoutException;
import io.metaparticle.sync.Options;
import io.metaparticle.sync.SyncException;
import io.metaparticle.sync.Waiting;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/** The runner of the conformance scenarios over the Java package; see README.md. */
public final class Runner {
  private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);
  private static final Map<String, Actor> ACTORS = new ConcurrentHashMap<>();
  private static Client client;

  /** A handle, and the one thread that acquires with it: a thread that holds may not lock again. */
  private static final class Actor {
    final String key;
    final Object handle;
    final BlockingQueue<String> done = new LinkedBlockingQueue<>();
    volatile Held term; // whose work goes on
    private final ExecutorService thread =
        Executors.newSingleThreadExecutor(
            body -> {
              Thread made = new Thread(body);
              made.setDaemon(true);
              return made;
            });
    volatile Future<?> asked;

    Actor(String key, Object handle) {
      this.key = key;
      this.handle = handle;
    }

    Lock lock() {
      return (Lock) handle;
    }

    Election election() {
      return (Election) handle;
    }

    /** Returns when it has begun, so that it can be interrupted. */
    void run(Action action) {
      CountDownLatch begun = new CountDownLatch(1);
      asked =
          thread.submit(
              () -> {
                begun.countDown();
                attempt(key, action);
              });
      while (begun.getCount() > 0) {
        Thread.onSpinWait();
      }
    }
  }

  private interface Action {
    void run() throws Exception;
  }

  private static void tell(Object... words) {
    StringBuilder line = new StringBuilder();
    for (Object word : words) {
      line.append(line.length() == 0 ? "" : "\t").append(word);
    }
    OUT.println(line);
  }

  private static void attempt(String key, Action action) {
    try {
      action.run();
    } catch (LockTimeoutException e) {
      tell(key, "busy");
    } catch (SyncException e) {
      tell(key, "error", e.status());
    } catch (InterruptedException e) {
      tell(key, "cut");
    } catch (IllegalArgumentException e) {
      tell(key, "error", -1);
    } catch (Exception e) {
      tell(key, "error", e);
    }
  }

  private static void make(String verb, String key, String name, String ttl) {
    Options options = new Options();
    if (!ttl.equals("-")) {
      options.set("ttl", ttl);
    }
    if (client == null) {
      client = new Client(new Options());
    }
    ACTORS.put(
        key,
        new Actor(
            key, verb.equals("lock") ? client.lock(name, options) : client.election(name, options)));
    tell(key, "ok");
  }

  private static Held take(Actor actor, String value, long waitMs) throws InterruptedException {
    if (actor.handle instanceof Lock lock) {
      return waitMs < 0 ? lock.acquire() : lock.acquire(waitMs, TimeUnit.MILLISECONDS);
    }
    return waitMs < 0
        ? actor.election().campaign(value)
        : actor.election().campaign(value, waitMs, TimeUnit.MILLISECONDS);
  }

  private static void acquire(Actor actor, String value, String waitMs) throws Exception {
    Held held = take(actor, value, Long.parseLong(waitMs));
    tell(actor.key, "held", held.token());
    held.lost().thenRun(() -> tell(actor.key, "lost"));
  }

  /** On a thread of its own, for a second one is to be refused. */
  private static void beginToLead(Actor actor, String value) {
    Thread thread = new Thread(() -> attempt(actor.key, () -> lead(actor, value)));
    thread.setDaemon(true);
    thread.start();
  }

  private static void lead(Actor actor, String value) throws InterruptedException {
    actor.election().lead(term -> work(actor, term), value);
    tell(actor.key, "over");
  }

  private static void work(Actor actor, Held term) throws Exception {
    actor.done.clear();
    actor.term = term;
    tell(actor.key, "term", term.token());
    term.ending().thenAccept(ending -> tellEnding(actor, term, ending));
    boolean failed = takeUninterruptibly(actor.done).equals("fail");
    synchronized (actor) {
      actor.term = null;
    }
    if (failed) {
      throw new IOException("the work failed, as it was told to");
    }
  }

  /** Of work that has returned there is nothing to tell, though the next term may have begun. */
  private static void tellEnding(Actor actor, Held term, Ending ending) {
    String left =
        ending.left().map(time -> time.isZero() ? "none" : "some").orElse("all");
    synchronized (actor) {
      if (actor.term == term) {
        tell(actor.key, "ending", ending.reason(), left);
      }
    }
  }

  private static String takeUninterruptibly(BlockingQueue<String> done) {
    while (true) {
      try {
        return done.take();
      } catch (InterruptedException e) {
        continue; // it ends when it is told
      }
    }
  }

  private static void release(Actor actor) {
    if (actor.handle instanceof Lock lock) {
      lock.unlock();
    } else {
      actor.election().resign();
    }
    tell(actor.key, "released");
  }

  private static void cancel(Actor actor) {
    if (actor.handle instanceof Lock lock) {
      lock.cancel();
    } else {
      actor.election().cancel();
    }
  }

  private static void held(Actor actor) {
    boolean held =
        actor.handle instanceof Lock lock ? lock.isHeld() : actor.election().isLeader();
    tell(actor.key, held ? "yes" : "no");
  }

  private static void leader(Actor actor) {
    Optional<Leader> leader = actor.election().leader();
    if (leader.isPresent()) {
      Leader seen = leader.get();
      tell(actor.key, "leader", seen.holder(), seen.value(), seen.token());
    } else {
      tell(actor.key, "leader", "-");
    }
  }

  private static void sees(String key, Optional<Leader> leader) {
    if (leader.isPresent()) {
      tell(key, "sees", leader.get().holder(), leader.get().value());
    } else {
      tell(key, "sees", "-");
    }
  }

  private static void waits(Actor actor) {
    Consumer<Waiting> told =
        waiting ->
            tell(
                actor.key,
                "waits",
                waiting.holder() == null ? "-" : waiting.holder(),
                waiting.position());
    if (actor.handle instanceof Lock lock) {
      lock.onWaiting(told);
    } else {
      actor.election().onWaiting(told);
    }
  }

  private static void count(Actor actor, Path file, int times) throws Exception {
    for (int turn = 0; turn < times; turn++) {
      try (Held held = actor.lock().acquire()) {
        long number = Long.parseLong(Files.readString(file).trim());
        Files.writeString(file, Long.toString(number + 1));
        tell(actor.key, "turn", held.token());
      }
    }
    tell(actor.key, "done");
  }

  private static void speed(Actor actor, int times) throws Exception {
    try (Held held = actor.lock().acquire()) {
      for (int call = 0; call < times; call++) {
        held.isHeld(); // compiled by the time that counts
      }
      long began = System.nanoTime();
      for (int call = 0; call < times; call++) {
        held.isHeld();
      }
      tell(actor.key, "ns", (System.nanoTime() - began) / times);
    }
  }

  private static void pass(Actor actor, int times) throws Exception {
    Object[] seen = new Object[2 + 2 * times];
    seen[0] = actor.key;
    seen[1] = "times";
    for (int turn = 0; turn < times; turn++) {
      try (Held held = actor.lock().acquire()) {
        seen[2 + 2 * turn] = System.nanoTime();
        Thread.sleep(3);
        held.check();
        seen[3 + 2 * turn] = System.nanoTime();
      }
      Thread.sleep(1);
    }
    tell(seen);
  }

  private static void forget(String key, String word) {
    ACTORS.remove(key).thread.shutdown();
    for (int times = 0; times < 3; times++) {
      System.gc();
    }
    tell(key, word);
  }

  private static void obey(String[] words) {
    String key = words.length > 1 ? words[1] : "0";
    Actor actor = ACTORS.get(key);
    switch (words[0]) {
      case "lock", "election" -> attempt(key, () -> make(words[0], key, words[2], words[3]));
      case "acquire" -> actor.run(() -> acquire(actor, null, words[2]));
      case "campaign" -> actor.run(() -> acquire(actor, words[2], words[3]));
      case "lead" -> beginToLead(actor, words[2]);
      case "done" -> actor.done.add(words.length > 2 ? words[2] : "");
      case "stop" -> actor.election().stop();
      case "resign" -> attempt(key, () -> actor.election().resign());
      case "cancel" -> cancel(actor);
      case "cut" -> actor.asked.cancel(true);
      case "release" -> attempt(key, () -> release(actor));
      case "held" -> held(actor);
      case "value" ->
          attempt(
              key,
              () -> {
                actor.election().setValue(words[2]);
                tell(key, "done");
              });
      case "leader" -> attempt(key, () -> leader(actor));
      case "observe" -> attempt(key, () -> actor.election().observe(seen -> sees(key, seen)));
      case "waits" -> waits(actor);
      case "count" -> actor.run(() -> count(actor, Path.of(words[2]), Integer.parseInt(words[3])));
      case "speed" -> actor.run(() -> speed(actor, Integer.parseInt(words[2])));
      case "pass" -> actor.run(() -> pass(actor, Integer.parseInt(words[2])));
      case "drop" -> forget(key, "dropped");
      case "collect" -> forget(key, "collected");
      case "close" -> {
        client.close();
        tell("0", "closed");
      }
      case "exit" -> System.exit(0);
      default -> throw new IllegalArgumentException(words[0]);
    }
  }

  public static void main(String[] arguments) throws IOException {
    BufferedReader lines =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      obey(line.split("\t", -1));
    }
    if (client != null) {
      client.close();
    }
  }
}
