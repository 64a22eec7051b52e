package io.metaparticle.sync.spring.boot;

import io.metaparticle.sync.Options;
import java.util.LinkedHashMap;
import java.util.Map;
import org.springframework.boot.context.properties.ConfigurationProperties;

/** What {@code mpsync.…} says of the client; times are text as the library reads it. */
@ConfigurationProperties("mpsync")
public class SyncProperties {
  private String url;
  private String ttl;
  private String wait;
  private String drain;
  private String identity;
  private final Map<String, String> options = new LinkedHashMap<>();

  /** Nothing is set. */
  public SyncProperties() {}

  /**
   * These, as the client takes them.
   *
   * @return what is not set is left to the library, which looks into the environment
   */
  public Options toOptions() {
    Options made = new Options().url(url);
    set(made, "ttl", ttl);
    set(made, "wait", wait);
    set(made, "drain", drain);
    set(made, "identity", identity);
    options.forEach(made::set);
    return made;
  }

  private static void set(Options made, String name, String value) {
    if (value != null && !value.isEmpty()) {
      made.set(name, value);
    }
  }

  /**
   * Where the locks live.
   *
   * @return for example {@code kubernetes:}
   */
  public String getUrl() {
    return url;
  }

  /**
   * Where the locks live.
   *
   * @param url for example {@code kubernetes:}
   */
  public void setUrl(String url) {
    this.url = url;
  }

  /**
   * How long a holder that is silent keeps others out.
   *
   * @return for example {@code 15s}
   */
  public String getTtl() {
    return ttl;
  }

  /**
   * How long a holder that is silent keeps others out.
   *
   * @param ttl for example {@code 15s}
   */
  public void setTtl(String ttl) {
    this.ttl = ttl;
  }

  /**
   * How long to wait at most.
   *
   * @return for example {@code 1m}
   */
  public String getWait() {
    return wait;
  }

  /**
   * How long to wait at most.
   *
   * @param wait for example {@code 1m}
   */
  public void setWait(String wait) {
    this.wait = wait;
  }

  /**
   * How long the work of a term may take to end while its right is renewed.
   *
   * @return for example {@code 30s}
   */
  public String getDrain() {
    return drain;
  }

  /**
   * How long the work of a term may take to end while its right is renewed.
   *
   * @param drain for example {@code 30s}
   */
  public void setDrain(String drain) {
    this.drain = drain;
  }

  /**
   * How others see this holder.
   *
   * @return host and process, if it is not set
   */
  public String getIdentity() {
    return identity;
  }

  /**
   * How others see this holder.
   *
   * @param identity at most 256 bytes of UTF-8
   */
  public void setIdentity(String identity) {
    this.identity = identity;
  }

  /**
   * All other options, by name.
   *
   * @return for example {@code request_timeout}
   */
  public Map<String, String> getOptions() {
    return options;
  }
}
