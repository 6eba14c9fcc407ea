/**
 * An ordered 64-bit hash as two 32-bit lanes: not for security, equal input gives equal output in
 * every build and on every platform.
 */
export class Fingerprint {
  private low = 0x9e3779b9;
  private high = 0x85ebca6b;

  /** Adds a whole number, up to 2^53. */
  add(value: number): void {
    this.mix(value >>> 0);
    const upper = Math.floor(value / 4294967296);
    if (upper !== 0) this.mix(upper >>> 0);
  }

  addText(text: string): void {
    this.mix(text.length);
    for (let i = 0; i < text.length; i += 1) this.mix(text.charCodeAt(i));
  }

  private mix(word: number): void {
    let low = Math.imul(this.low ^ word, 0xcc9e2d51);
    low = (low << 15) | (low >>> 17);
    let high = Math.imul(this.high ^ word, 0x1b873593);
    high = (high << 13) | (high >>> 19);
    this.low = (Math.imul(low, 5) + high) | 0;
    this.high = (Math.imul(high, 5) ^ low) | 0;
  }

  /** 16 hexadecimal digits. */
  digest(): string {
    return hex(this.high) + hex(this.low);
  }
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}
