/** A larger column `to` that begins with what `from` holds. Returns `to`. */
export function grown<T extends { set(from: T): void }>(from: T, to: T): T {
  to.set(from);
  return to;
}
