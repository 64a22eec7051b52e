package io.metaparticle.sync;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;

/** Where the locks live, and how they are held. Not safe for concurrent changes. */
public final class Options {
  String url;
  final Map<String, String> settings = new LinkedHashMap<>();

  /** The defaults: the environment's {@code MPSYNC_…}, else the elector next to this program. */
  public Options() {}

  /**
   * Where the locks live.
   *
   * @param url {@code file:locks.db}, {@code http://…}, {@code kubernetes:}, …
   * @return these options
   */
  public Options url(String url) {
    this.url = url;
    return this;
  }

  /**
   * How long a holder that is silent keeps others out.
   *
   * @param ttl 50 ms to 24 h; 15 s by default
   * @return these options
   */
  public Options ttl(Duration ttl) {
    return set("ttl", ttl.toMillis() + "ms");
  }

  /**
   * How long to wait at most.
   *
   * @param wait zero tries once; for ever by default
   * @return these options
   */
  public Options waitFor(Duration wait) {
    return set("wait", wait.toMillis() + "ms");
  }

  /**
   * How others see this holder.
   *
   * @param identity at most 256 bytes of UTF-8; host and process by default
   * @return these options
   */
  public Options identity(String identity) {
    return set("identity", identity);
  }

  /**
   * Any option by name, as URLs and the environment have it.
   *
   * @param name for example {@code request_timeout}
   * @param value as people write it, for example {@code 2s}
   * @return these options
   */
  public Options set(String name, String value) {
    settings.put(name, value);
    return this;
  }
}
