import io.metaparticle.sync.Election;
import io.metaparticle.sync.Lock;
import io.metaparticle.sync.LockListener;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Every way in which the first package could be used. */
public class Locks {
  static class OwnLock extends Lock {
    OwnLock(String name) {
      super(name);
    }

    @Override
    public void lock() {
      System.out.println("own lock");
      super.lock();
    }
  }

  static class OwnElection extends Election {
    OwnElection(String name, Runnable elected, Runnable terminate) {
      super(name, elected, terminate);
    }

    @Override
    public void lockAcquired() {
      System.out.println("own election");
      super.lockAcquired();
    }
  }

  static void lose(String name) throws Exception {
    new ProcessBuilder(System.getenv("MPSYNC"), "release", "--force", "--now", name).start().waitFor();
  }

  static void misused(Runnable call) {
    try {
      call.run();
    } catch (IllegalStateException e) {
      System.out.println("IllegalStateException");
    }
  }

  static void locks() throws Exception {
    java.util.concurrent.locks.Lock lock = new Lock("a");
    lock.lock();
    misused(lock::lock);
    System.out.println(new Lock("a", "http://localhost:13131").tryLock());
    System.out.println(new Lock("a").tryLock(10, TimeUnit.MILLISECONDS));
    lock.unlock();
    misused(lock::unlock);
    lock.lockInterruptibly();
    lock.unlock();
    System.out.println(lock.tryLock());
    lock.unlock();
    try {
      lock.newCondition();
    } catch (UnsupportedOperationException e) {
      System.out.println("no conditions");
    }
    Lock own = new OwnLock("a");
    own.lock();
    own.unlock();
  }

  static void losses() throws Exception {
    CountDownLatch lost = new CountDownLatch(1);
    Lock told = new Lock("b");
    told.setLockListener(
        new LockListener() {
          @Override
          public void lockAcquired() {
            System.out.println("acquired");
          }

          @Override
          public void lockLost() {
            lost.countDown();
          }
        });
    told.lock();
    lose("b");
    System.out.println("lost " + lost.await(60, TimeUnit.SECONDS));
    told.unlock(); // after a loss
    misused(told::unlock);
    told.lock();
    told.unlock();

    // Nobody listens: it cannot be missed.
    CountDownLatch uncaught = new CountDownLatch(1);
    Thread.setDefaultUncaughtExceptionHandler(
        (thread, error) -> {
          System.out.println("uncaught " + error.getClass().getSimpleName());
          uncaught.countDown();
        });
    Lock untold = new Lock("c");
    untold.lock();
    lose("c");
    System.out.println(uncaught.await(60, TimeUnit.SECONDS));
  }

  static class Telling implements LockListener {
    private final boolean throwing;

    Telling(boolean throwing) {
      this.throwing = throwing;
    }

    @Override
    public void lockAcquired() {
      System.out.println("told acquired");
      if (throwing) {
        throw new IllegalStateException("the listener's own");
      }
    }

    @Override
    public void lockLost() {
      System.out.println("told lost");
    }
  }

  /** An unlock calls lockLost; what lockAcquired throws comes out of lock(), which holds nothing then. */
  static void listeners() {
    Lock lock = new Lock("e");
    lock.setLockListener(new Telling(false));
    lock.lock();
    lock.unlock();
    System.out.println("unlocked");
    lock.setLockListener(new Telling(true));
    misused(lock::lock);
    misused(lock::tryLock);
    lock.setLockListener(null);
    System.out.println(lock.tryLock());
    lock.unlock();
  }

  /** One lock for several threads, which wait for one another; any of them unlocks. */
  static void threads() throws Exception {
    Lock shared = new Lock("f");
    shared.lock();
    Thread other = new Thread(shared::lock);
    other.start();
    shared.unlock();
    other.join();
    System.out.println("the other has it");
    shared.unlock();
  }

  static Election again;

  /** A shutdown before run has no effect; afterwards it runs again; elected may call it. */
  static void shutdowns() {
    again =
        new Election(
            "g",
            "http://localhost:13131",
            () -> {
              System.out.println("elected");
              again.shutdown();
            },
            () -> System.out.println("terminate"));
    again.shutdown();
    again.run();
    again.run();
  }

  static void elections() throws Exception {
    CountDownLatch leads = new CountDownLatch(1);
    Election election = new OwnElection("d", leads::countDown, () -> System.out.println("terminated"));
    Thread thread = new Thread(election);
    thread.start();
    leads.await();
    LockListener listener = election;
    System.out.println(listener == election);
    election.shutdown();
    thread.join();
  }

  public static void main(String[] arguments) throws Exception {
    locks();
    losses();
    listeners();
    threads();
    shutdowns();
    elections();
    System.exit(7);
  }
}
