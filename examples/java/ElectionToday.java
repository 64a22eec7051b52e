import io.metaparticle.sync.Election;
import io.metaparticle.sync.Options;

/** One leads at a time; this one leaves it at one term. */
public final class ElectionToday {
  public static void main(String[] arguments) throws InterruptedException {
    try (Election election = new Election("example", new Options())) {
      election.lead(
          term -> {
            System.out.println("leading");
            election.stop();
          },
          "http://me:8080");
    }
    System.out.println("not leading");
  }
}
