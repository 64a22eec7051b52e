package io.metaparticle.sync.spring;

import java.lang.reflect.Method;
import java.util.Map;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Future;
import org.aspectj.lang.ProceedingJoinPoint;
import org.aspectj.lang.reflect.MethodSignature;
import org.springframework.context.expression.MethodBasedEvaluationContext;
import org.springframework.core.DefaultParameterNameDiscoverer;
import org.springframework.core.ParameterNameDiscoverer;
import org.springframework.core.ReactiveAdapterRegistry;
import org.springframework.expression.Expression;
import org.springframework.expression.common.TemplateParserContext;
import org.springframework.expression.spel.standard.SpelExpressionParser;

/** The names that {@link Locked} gives to calls. */
final class LockNames {
  private final SpelExpressionParser parser = new SpelExpressionParser();
  private final ParameterNameDiscoverer parameters = new DefaultParameterNameDiscoverer();
  private final Map<String, Expression> parsed = new ConcurrentHashMap<>();

  String of(Locked locked, ProceedingJoinPoint call) {
    Expression template =
        parsed.computeIfAbsent(
            locked.value(), text -> parser.parseExpression(text, new TemplateParserContext()));
    Method method = ((MethodSignature) call.getSignature()).getMethod();
    return template.getValue(
        new MethodBasedEvaluationContext(call.getTarget(), method, call.getArgs(), parameters),
        String.class);
  }

  /** A lock that was released before the work began would be worse than none. */
  static void refuseReactive(Method method) {
    Class<?> type = method.getReturnType();
    boolean known = CompletionStage.class.isAssignableFrom(type);
    boolean later =
        Future.class.isAssignableFrom(type)
            || ReactiveAdapterRegistry.getSharedInstance().getAdapter(type) != null;
    if (later && !known) {
      throw new IllegalStateException(
          "@Locked cannot tell when the work of " + method + " ends: return a CompletionStage");
    }
  }
}
