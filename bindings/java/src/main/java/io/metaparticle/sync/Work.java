package io.metaparticle.sync;

/** What a leader does during one term. */
@FunctionalInterface
public interface Work {
  /**
   * Called when a term begins, on a thread of the package, which is interrupted when the term shall
   * end. The term is given back when this returns.
   *
   * @param term what is led
   * @throws Exception logged, if it was not the interrupt's; the next term begins after a pause
   */
  void run(Held term) throws Exception;
}
