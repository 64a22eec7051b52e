import io.metaparticle.sync.Held;
import io.metaparticle.sync.Lock;

/** One at a time: a loss is thrown at the block's end, and told by held.lost(). */
public final class LockToday {
  public static void main(String[] arguments) throws InterruptedException {
    try (Held held = new Lock("example").acquire()) {
      held.check();
      System.out.println("holding");
    }
    System.out.println("released");
  }
}
