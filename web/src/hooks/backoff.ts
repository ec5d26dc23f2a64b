/** Milliseconds before the `attempt`-th try (from 1): doubling up to `most`, half of it by chance, so that not all come back at once. */
export function backoff(attempt: number, most = 15_000): number {
  const whole = Math.min(most, 500 * 2 ** Math.min(attempt - 1, 20));
  return whole / 2 + Math.random() * (whole / 2);
}
