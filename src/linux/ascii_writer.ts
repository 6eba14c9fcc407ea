const FIRST_BYTES = 1 << 16;
const HEX_DIGITS = new TextEncoder().encode('0123456789abcdef');
const DIGIT_0 = 0x30;

/** Builds text in a growing byte buffer; numbers are formatted without making strings. */
export class AsciiWriter {
  #bytes = new Uint8Array(FIRST_BYTES);
  #length = 0;
  readonly #encoder = new TextEncoder();

  /** Appends any text, as UTF-8. */
  text(text: string): this {
    // A UTF-16 unit takes three bytes at most.
    this.#reserve(text.length * 3);
    this.#length += this.#encoder.encodeInto(text, this.#bytes.subarray(this.#length)).written;
    return this;
  }

  /** Appends a short ASCII text; faster than `text` up to a dozen characters. */
  ascii(text: string): this {
    this.#reserve(text.length);
    for (let index = 0; index < text.length; index++) {
      this.#bytes[this.#length++] = text.charCodeAt(index);
    }
    return this;
  }

  /** Appends one ASCII character. */
  char(code: number): this {
    this.#reserve(1);
    this.#bytes[this.#length++] = code;
    return this;
  }

  /** Appends a whole number from 0 up to 2^53 in hexadecimal. */
  hex(value: number): this {
    this.#reserve(14);
    let high = Math.floor(value / 0x1_0000_0000);
    let low = value >>> 0;
    let digits = high === 0 ? hexDigits(low) : 8 + hexDigits(high);
    const bytes = this.#bytes;
    const start = this.#length;
    this.#length += digits;
    while (digits > 0) {
      digits--;
      bytes[start + digits] = HEX_DIGITS[low & 15] ?? 0;
      low >>>= 4;
      if (this.#length - start - digits === 8) {
        low = high;
        high = 0;
      }
    }
    return this;
  }

  /** Appends a whole number from 0 up to 2^32 in decimal. */
  decimal(value: number): this {
    this.#reserve(10);
    let digits = 1;
    for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++;
    this.#length += digits;
    let rest = value;
    for (let index = 1; index <= digits; index++) {
      const quotient = Math.floor(rest / 10);
      this.#bytes[this.#length - index] = DIGIT_0 + rest - quotient * 10;
      rest = quotient;
    }
    return this;
  }

  /** The text so far; valid until more is appended. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const bytes = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more));
    bytes.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = bytes;
  }
}

function hexDigits(value: number): number {
  return value === 0 ? 1 : (35 - Math.clz32(value)) >>> 2;
}
