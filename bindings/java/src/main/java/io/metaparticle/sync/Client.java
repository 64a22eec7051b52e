package io.metaparticle.sync;

/**
 * A connection of the program's own to one store, for locks and elections that end with it.
 *
 * <p>Nobody needs one: locks and elections of one URL share a connection, which ends when the last
 * of them was closed or collected.
 */
public final class Client implements AutoCloseable {
  private final Connection connection;

  /**
   * A connection.
   *
   * @param options where the locks live, and the defaults of how they are held
   */
  public Client(Options options) {
    Connection own = Connection.own(options);
    connection = own;
    Connection.CLEANER.register(this, own::leave);
  }

  /**
   * A lock.
   *
   * @param name 1 to 1,024 bytes of UTF-8, compared by bytes
   * @param options how it is held; not where
   * @return ends with this client
   */
  public Lock lock(String name, Options options) {
    return new Lock(() -> Handle.lock(connection.join(), name, options));
  }

  /**
   * An election, for {@link Election#lead} and {@link Election#campaign}.
   *
   * @param name 1 to 1,024 bytes of UTF-8, compared by bytes
   * @param options how a term is held; not where
   * @return ends with this client
   */
  public Election election(String name, Options options) {
    return new Election(Handle.election(connection.join(), name, options), () -> {}, () -> {});
  }

  /**
   * Release all that is held, and wait for it, no longer than the rights last. Work under a lock is
   * told ({@link Held#ending}) and not waited for.
   */
  @Override
  public void close() {
    connection.close();
  }
}
