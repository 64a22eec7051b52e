/**
 * Locks and leader election for programs that run as many copies.
 *
 * <pre>{@code
 * Lock lock = new Lock("orders/42", "file:locks.db");
 * try (Held held = lock.acquire()) {
 *   System.out.println("this is turn " + held.token());
 * }
 * }</pre>
 */
package io.metaparticle.sync;
