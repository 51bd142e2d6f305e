/**
 * Loaded before everything else in a container. Process 1 ignores a signal that it doesn't listen for, and Moleculer
 * listens once its broker is made: a container stopped in its first second would start up, sell, and be killed in the
 * end. Until then it simply ends; from then on the broker drains.
 */
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.on(signal, () => {
    if (process.listenerCount(signal) === 1) process.exit(code);
  });
}
