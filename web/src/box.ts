/** Codes kept on this device, sealed with a passphrase: PBKDF2-SHA-256 makes the key, AES-256-GCM seals. */

import type { Card } from "./shapes";

const ITERATIONS = 600_000;

export interface Sealed {
  salt: Uint8Array<ArrayBuffer>;
  iv: Uint8Array<ArrayBuffer>;
  iterations: number;
  sealed: ArrayBuffer;
  at: number; // milliseconds
}

/** Browsers have WebCrypto only where the page came over HTTPS (or from this machine). */
export const canSeal = (): boolean => typeof crypto.subtle === "object";

export async function seal(cards: Card[], passphrase: string, tradeId: string): Promise<Sealed> {
  const salt = crypto.getRandomValues(new Uint8Array(16));
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const key = await derive(passphrase, salt, ITERATIONS);
  const plain = new TextEncoder().encode(JSON.stringify(cards));
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: bound(tradeId) }, key, plain);
  return { salt, iv, iterations: ITERATIONS, sealed, at: Date.now() };
}

/** The codes, or undefined with another passphrase (or of another order). */
export async function open(box: Sealed, passphrase: string, tradeId: string): Promise<Card[] | undefined> {
  const key = await derive(passphrase, box.salt, box.iterations);
  try {
    const how = { name: "AES-GCM", iv: box.iv, additionalData: bound(tradeId) };
    const plain = await crypto.subtle.decrypt(how, key, box.sealed);
    return JSON.parse(new TextDecoder().decode(plain)) as Card[];
  } catch {
    return undefined;
  }
}

const bound = (tradeId: string) => new TextEncoder().encode(`cardshop:${tradeId}`);

async function derive(passphrase: string, salt: Uint8Array<ArrayBuffer>, iterations: number): Promise<CryptoKey> {
  const words = new TextEncoder().encode(passphrase.normalize("NFKC"));
  const base = await crypto.subtle.importKey("raw", words, "PBKDF2", false, ["deriveKey"]);
  const how = { name: "PBKDF2", hash: "SHA-256", salt, iterations };
  return crypto.subtle.deriveKey(how, base, { name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
}
