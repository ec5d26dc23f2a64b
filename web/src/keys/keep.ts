/** The keys of this visit, and those that somebody asked this browser to keep. */
import { type KeyPair, pairOf } from "./pair";

const PREFIX = "berth.key.";

/** Keys by public key.  In memory unless {@link keep} is called for one. */
export class KeyRing {
  readonly #pairs = new Map<string, KeyPair>();

  constructor(private readonly storage: Storage | null) {}

  add(pair: KeyPair): void {
    this.#pairs.set(pair.publicKey, pair);
  }

  find(publicKey: string): KeyPair | null {
    const known = this.#pairs.get(publicKey);
    if (known) return known;
    const kept = this.storage?.getItem(PREFIX + publicKey);
    if (!kept) return null;
    try {
      const pair = pairOf(kept);
      return pair.publicKey === publicKey ? pair : null;
    } catch {
      // Not a key, whoever put it there.
      this.storage?.removeItem(PREFIX + publicKey);
      return null;
    }
  }

  kept(publicKey: string): boolean {
    return this.storage?.getItem(PREFIX + publicKey) != null;
  }

  /** Whether there is somewhere to keep a key at all. */
  get canKeep(): boolean {
    return this.storage !== null;
  }

  /** Puts the private key into this browser's storage.  Errors: DOMException when the browser refuses. */
  keep(pair: KeyPair): void {
    this.storage?.setItem(PREFIX + pair.publicKey, pair.privateKey);
  }

  /** Takes it out again; it stays usable until the page is closed. */
  unkeep(publicKey: string): void {
    this.storage?.removeItem(PREFIX + publicKey);
  }

  /** Forgets the key wholly, for a device that is gone. */
  drop(publicKey: string): void {
    this.#pairs.delete(publicKey);
    this.unkeep(publicKey);
  }
}

/** The browser's storage, or null where it is refused (private windows, settings). */
export function browserStorage(): Storage | null {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}
