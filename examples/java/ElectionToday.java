import io.metaparticle.sync.Election;
import io.metaparticle.sync.Held;
import io.metaparticle.sync.Options;

/** One leads, until its term is lost or given back. */
public final class ElectionToday {
  public static void main(String[] arguments) {
    Election election = new Election("example", new Options());
    try (Held term = election.campaignAsync("http://me:8080").join()) {
      term.check();
      System.out.println("leading");
    }
    System.out.println("not leading");
  }
}
