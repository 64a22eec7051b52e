package io.metaparticle.sync;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.File;
import java.lang.ref.WeakReference;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;

/** What a collection, a closing and the end of a process take with them, and what they do not. */
class LifetimeTest extends Store {
  private static void collectUntil(BooleanSupplier done) throws InterruptedException {
    while (!done.getAsBoolean()) {
      System.gc();
      Thread.sleep(10);
    }
  }

  private static long threads() {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(thread -> thread.getName().startsWith("metaparticle-sync"))
        .count();
  }

  private CompletionStage<Void> hold(CountDownLatch lost) throws InterruptedException {
    return new Lock("x", brief()).acquire().lost().thenRun(lost::countDown);
  }

  /** What is held stays held, and its loss is told, though nothing refers to it any more. */
  @Test
  void heldButNotReferred() throws Exception {
    CountDownLatch lost = new CountDownLatch(1);
    hold(lost);
    for (int i = 0; i < 20; i++) {
      System.gc();
      Thread.sleep(10);
    }
    assertFalse(lock().tryLock());
    takeByForce();
    lost.await();
  }

  /** A client closes when its last user has gone, collected or closed, and not before. */
  @Test
  void theLastUserGoes() throws Exception {
    collectUntil(() -> threads() == 0);
    Lock closed = lock();
    Lock open = lock();
    closed.lock();
    closed.close();
    closed.close();
    assertTrue(open.tryLock());
    open.close();
    while (threads() > 0) {
      Thread.sleep(1);
    }
    new Lock("x", brief()).tryLock(); // held, so it stays
    assertTrue(threads() > 0);
    takeByForce();
    collectUntil(() -> threads() == 0);
  }

  /** Redeployed thirty times: no class loader, thread or descriptor is left. */
  @Test
  void redeploying() throws Exception {
    deploy(); // what Java itself opens once
    collectUntil(() -> threads() == 0);
    int descriptors = new File("/proc/self/fd").list().length;
    List<WeakReference<ClassLoader>> loaders = new ArrayList<>();
    for (int i = 0; i < 31; i++) {
      loaders.add(deploy());
    }
    collectUntil(() -> loaders.stream().allMatch(loader -> loader.get() == null));
    collectUntil(() -> threads() == 0);
    collectUntil(() -> new File("/proc/self/fd").list().length <= descriptors);
  }

  private WeakReference<ClassLoader> deploy() throws Exception {
    String classes = System.getProperty("java.class.path");
    List<URL> urls = new ArrayList<>();
    for (String entry : classes.split(File.pathSeparator)) {
      urls.add(new File(entry).toURI().toURL());
    }
    ClassLoader own =
        new URLClassLoader(urls.toArray(new URL[0]), ClassLoader.getPlatformClassLoader());
    Object application =
        own.loadClass("io.metaparticle.sync.LifetimeTest$Application")
            .getDeclaredConstructor()
            .newInstance();
    ((Runnable) application).run();
    return new WeakReference<>(own);
  }

  /** What is deployed: uses what there is, and closes nothing but what it holds. */
  public static final class Application implements Runnable {
    @Override
    public void run() {
      Lock lock = new Lock("x", "memory:deployed");
      lock.lock();
      lock.unlock();
      lock.acquireAsync().join().release();
      Election[] election = {null};
      election[0] = new Election("y", "memory:deployed", () -> election[0].shutdown(), () -> {});
      election[0].run();
      election[0].leader();
    }
  }

  /** Work winds down in the program's own hooks: held until the last of them has ended. */
  @Test
  void heldWhileTheProgramShutsDown() throws Exception {
    String file = "file:" + folder + "/locks.db";
    Process program = start(Hooks.class, file);
    BufferedReader said = program.inputReader();
    assertEquals("held", said.readLine());
    new ProcessBuilder("kill", "-TERM", Long.toString(program.pid())).start().waitFor();
    assertEquals("in the hook true", said.readLine());
    try (Lock other = new Lock("x", file)) {
      assertFalse(other.tryLock());
    }
    program.getOutputStream().close();
    assertEquals("a first lock in a hook true", said.readLine());
    assertEquals("at its end true", said.readLine());
    assertNull(said.readLine());
    program.waitFor();
    assertFree(file);
  }

  private static void assertFree(String file) throws InterruptedException {
    try (Lock next = new Lock("x", file)) {
      assertTrue(next.tryLock(60, TimeUnit.SECONDS));
    }
  }

  /** Holds; goes on in a hook until its input ends. */
  static final class Hooks {
    public static void main(String[] arguments) throws Exception {
      Held held = new Lock("x", arguments[0]).acquire();
      Runtime.getRuntime()
          .addShutdownHook(
              new Thread(
                  () -> {
                    System.out.println("in the hook " + held.isHeld());
                    try {
                      System.in.read();
                    } catch (java.io.IOException e) {
                      throw new AssertionError(e);
                    }
                    System.out.println(
                        "a first lock in a hook " + new Lock("y", "memory:hook").tryLock());
                    System.out.println("at its end " + held.isHeld());
                  }));
      System.out.println("held");
      Thread.sleep(Long.MAX_VALUE);
    }
  }
}
