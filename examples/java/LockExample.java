import io.metaparticle.sync.Lock;

/** A program of the first Metaparticle Sync: one at a time. */
public final class LockExample {
  public static void main(String[] arguments) {
    Lock lock = new Lock("example");
    lock.lock();
    System.out.println("holding");
    lock.unlock();
    System.out.println("released");
  }
}
