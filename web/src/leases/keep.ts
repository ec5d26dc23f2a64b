/** Who somebody is on the lease plane, between visits.  A token is kept for this tab unless it is asked to stay. */

const NAME = "berth.leases.name";
const TOKEN = "berth.leases.token";
const ADMIN = "berth.leases.admin";

export interface Kept {
  username: string;
  token: string;
}

/** What a username may be; the server has the last word. */
export const USERNAME = /^[a-z0-9]([a-z0-9_.-]{0,30}[a-z0-9])?$/;

export function keptName(): string | null {
  const name = read(() => localStorage.getItem(NAME));
  return name && USERNAME.test(name) ? name : null;
}

export function keepName(name: string | null): void {
  write(localStorageOf, NAME, name);
}

export function keptToken(): Kept | null {
  const text = read(() => sessionStorage.getItem(TOKEN) ?? localStorage.getItem(TOKEN));
  const space = text?.indexOf(" ") ?? -1;
  return text && space > 0 ? { username: text.slice(0, space), token: text.slice(space + 1) } : null;
}

/** `stay`: also after this tab is closed.  null forgets it everywhere. */
export function keepToken(kept: Kept | null, stay = false): void {
  const text = kept ? `${kept.username} ${kept.token}` : null;
  write(sessionStorageOf, TOKEN, text);
  write(localStorageOf, TOKEN, stay ? text : null);
}

/** Never longer than the tab. */
export function keptAdmin(): string | null {
  return read(() => sessionStorage.getItem(ADMIN));
}

export function keepAdmin(token: string | null): void {
  write(sessionStorageOf, ADMIN, token);
}

const localStorageOf = (): Storage => localStorage;
const sessionStorageOf = (): Storage => sessionStorage;

function read(from: () => string | null): string | null {
  try {
    return from();
  } catch {
    return null;
  }
}

function write(storage: () => Storage, name: string, value: string | null): void {
  try {
    if (value === null) storage().removeItem(name);
    else storage().setItem(name, value);
  } catch {
    // Without storage it is asked again after a reload: no more than that.
  }
}
