/**
 * How much one broker may be sent before it has answered. It takes requests of a connection one after another, so what
 * is sent beyond that waits there, while its time runs: a broker that is slow for a moment would be sent it all again.
 */

interface Waiting {
  readonly bytes: number;
  readonly go: () => void;
}

/** Of one broker. */
export class SendWindow {
  readonly #bytesMax: number;
  readonly #waiting: Waiting[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Runs `send` when there is room for so many bytes, in the order of calls; more than the window holds goes alone. */
  async run<T>(bytes: number, send: () => Promise<T>): Promise<T> {
    if (this.#waiting.length > 0 || !this.#hasRoom(bytes))
      await new Promise<void>((go) => {
        this.#waiting.push({ bytes, go });
      });
    else this.#bytes += bytes;
    try {
      return await send();
    } finally {
      this.#bytes -= bytes;
      this.#letGo();
    }
  }

  #hasRoom(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= this.#bytesMax;
  }

  #letGo(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#hasRoom(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#bytes += next.bytes;
      next.go();
    }
  }
}
