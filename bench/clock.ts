/** Nanoseconds on the machine's monotonic clock, which server and client share. */
export function now(): number {
  return Number(process.hrtime.bigint());
}
