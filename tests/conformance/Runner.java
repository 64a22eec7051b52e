import io.metaparticle.sync.Election;
import io.metaparticle.sync.Held;
import io.metaparticle.sync.Leader;
import io.metaparticle.sync.Lock;
import io.metaparticle.sync.LockListener;
import io.metaparticle.sync.LockTimeoutException;
import io.metaparticle.sync.Options;
import io.metaparticle.sync.SyncException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;

/** The runner of the conformance scenarios over the Java package; see README.md. */
public final class Runner {
  private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);
  private static final Map<String, Object> HANDLES = new ConcurrentHashMap<>();

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
    } catch (Exception e) {
      tell(key, "error", e);
    }
  }

  private static void make(String verb, String key, String name, String ttl) {
    Options options = new Options();
    if (!ttl.equals("-")) {
      options.set("ttl", ttl);
    }
    if (verb.equals("election")) {
      HANDLES.put(key, new Election(name, options));
      tell(key, "ok");
      return;
    }
    Lock lock = new Lock(name, options);
    lock.setLockListener(
        new LockListener() {
          @Override
          public void lockAcquired() {}

          @Override
          public void lockLost() {
            tell(key, "lost");
          }
        });
    HANDLES.put(key, lock);
    tell(key, "ok");
  }

  private static Held take(Object handle, String value, long waitMs) throws InterruptedException {
    if (handle instanceof Lock lock) {
      return waitMs < 0 ? lock.acquire() : lock.acquire(waitMs, TimeUnit.MILLISECONDS);
    }
    Election election = (Election) handle;
    return waitMs < 0
        ? election.campaign(value)
        : election.campaign(value, waitMs, TimeUnit.MILLISECONDS);
  }

  private static void acquire(String key, String value, String waitMs) throws Exception {
    Held held = take(HANDLES.get(key), value, Long.parseLong(waitMs));
    tell(key, "held", held.token());
    if (HANDLES.get(key) instanceof Election) {
      held.lost().thenRun(() -> tell(key, "lost"));
    }
  }

  private static void release(String key) {
    Object handle = HANDLES.get(key);
    if (handle instanceof Lock lock) {
      lock.unlock();
    } else {
      ((Election) handle).resign();
    }
    tell(key, "released");
  }

  private static void cancel(Object handle) {
    if (handle instanceof Lock lock) {
      lock.cancel();
    } else {
      ((Election) handle).cancel();
    }
  }

  private static void held(String key) {
    Object handle = HANDLES.get(key);
    boolean held = handle instanceof Lock lock ? lock.isHeld() : ((Election) handle).isLeader();
    tell(key, held ? "yes" : "no");
  }

  private static void leader(String key) {
    Optional<Leader> leader = ((Election) HANDLES.get(key)).leader();
    if (leader.isPresent()) {
      tell(key, "leader", leader.get().holder(), leader.get().value(), leader.get().token());
    } else {
      tell(key, "leader", "-");
    }
  }

  private static void sees(String key, Optional<Leader> leader) {
    if (leader.isPresent()) {
      tell(key, "sees", leader.get().holder(), leader.get().value());
    } else {
      tell(key, "sees", "-");
    }
  }

  private static void count(String key, Path file, int times) throws Exception {
    Lock lock = (Lock) HANDLES.get(key);
    for (int turn = 0; turn < times; turn++) {
      try (Held held = lock.acquire()) {
        long number = Long.parseLong(Files.readString(file).trim());
        Files.writeString(file, Long.toString(number + 1));
        tell(key, "turn", held.token());
      }
    }
    tell(key, "done");
  }

  private static void speed(String key, int times) throws Exception {
    try (Held held = ((Lock) HANDLES.get(key)).acquire()) {
      for (int call = 0; call < times; call++) {
        held.isHeld(); // compiled by the time that counts
      }
      long began = System.nanoTime();
      for (int call = 0; call < times; call++) {
        held.isHeld();
      }
      tell(key, "ns", (System.nanoTime() - began) / times);
    }
  }

  private static void pass(String key, int times) throws Exception {
    Object[] seen = new Object[2 + 2 * times];
    seen[0] = key;
    seen[1] = "times";
    for (int turn = 0; turn < times; turn++) {
      try (Held held = ((Lock) HANDLES.get(key)).acquire()) {
        seen[2 + 2 * turn] = System.nanoTime();
        Thread.sleep(3);
        held.check();
        seen[3 + 2 * turn] = System.nanoTime();
      }
      Thread.sleep(1);
    }
    tell(seen);
  }

  private static void drop(String key) {
    HANDLES.remove(key);
    System.gc();
    tell(key, "dropped");
  }

  private static void inBackground(String key, Action action) {
    Thread thread = new Thread(() -> attempt(key, action));
    thread.setDaemon(true);
    thread.start();
  }

  private static void obey(String[] words) {
    String key = words[1];
    switch (words[0]) {
      case "lock", "election" -> attempt(key, () -> make(words[0], key, words[2], words[3]));
      case "acquire" -> inBackground(key, () -> acquire(key, null, words[2]));
      case "campaign" -> inBackground(key, () -> acquire(key, words[2], words[3]));
      case "cancel" -> cancel(HANDLES.get(key));
      case "release" -> attempt(key, () -> release(key));
      case "held" -> held(key);
      case "value" ->
          attempt(
              key,
              () -> {
                ((Election) HANDLES.get(key)).setValue(words[2]);
                tell(key, "done");
              });
      case "leader" -> attempt(key, () -> leader(key));
      case "observe" ->
          attempt(key, () -> ((Election) HANDLES.get(key)).observe(seen -> sees(key, seen)));
      case "count" ->
          inBackground(key, () -> count(key, Path.of(words[2]), Integer.parseInt(words[3])));
      case "speed" -> inBackground(key, () -> speed(key, Integer.parseInt(words[2])));
      case "pass" -> inBackground(key, () -> pass(key, Integer.parseInt(words[2])));
      case "drop" -> drop(key);
      default -> throw new IllegalArgumentException(words[0]);
    }
  }

  public static void main(String[] arguments) throws IOException {
    BufferedReader lines =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      obey(line.split("\t", -1));
    }
  }
}
