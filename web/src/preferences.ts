/** Choices that must be there before the first paint: localStorage, or this page's life where that is blocked. */

const memory = new Map<string, string>();

export function get(name: string): string | undefined {
  try {
    return localStorage.getItem(name) ?? memory.get(name);
  } catch {
    return memory.get(name);
  }
}

export function set(name: string, value: string): void {
  memory.set(name, value);
  try {
    localStorage.setItem(name, value);
  } catch {
    // Blocked: it holds until the page is closed.
  }
}
