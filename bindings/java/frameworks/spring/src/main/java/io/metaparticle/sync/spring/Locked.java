package io.metaparticle.sync.spring;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * A method that runs under a lock, in one process at a time; see {@link LockedAspect}.
 *
 * <pre>{@code
 * @Locked("orders/#{#id}")
 * public void ship(long id) { … }
 * }</pre>
 */
@Documented
@Target(ElementType.METHOD)
@Retention(RetentionPolicy.RUNTIME)
public @interface Locked {
  /**
   * The lock's name, in which {@code #{…}} is an expression of Spring's language over the
   * parameters: {@code #id}, {@code #p0}, {@code #order.customer}.
   *
   * @return the name's template
   */
  String value();

  /**
   * How long to wait at most.
   *
   * @return for example {@code 2s}; {@code 0s} tries once; empty: as the client's option says
   */
  String waitFor() default "";

  /**
   * How long a holder that is silent keeps others out.
   *
   * @return for example {@code 10s}; empty: as the client's option says
   */
  String ttl() default "";
}
