import io.metaparticle.sync.Election;

/** A program of the first Metaparticle Sync: one leads. */
public final class ElectionExample {
  private static Election election;

  public static void main(String[] arguments) {
    election =
        new Election(
            "example",
            () -> {
              System.out.println("leading");
              election.shutdown();
            },
            () -> System.out.println("not leading"));
    election.run();
  }
}
