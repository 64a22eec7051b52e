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

  /** Where the locks live: {@code file:locks.db}, {@code http://…}, {@code kubernetes:}, …. */
  public Options url(String url) {
    this.url = url;
    return this;
  }

  /** How long a right lasts without renewal. */
  public Options ttl(Duration ttl) {
    return set("ttl", ttl.toMillis() + "ms");
  }

  /** How long to wait at most; for ever by default. */
  public Options waitFor(Duration wait) {
    return set("wait", wait.toMillis() + "ms");
  }

  /** How others see this holder. */
  public Options identity(String identity) {
    return set("identity", identity);
  }

  /** Any option by name, as URLs and the environment have it. */
  public Options set(String name, String value) {
    settings.put(name, value);
    return this;
  }
}
