import { useCallback, useMemo, useState } from "react";
import { Problem, type Trouble } from "../../api/problem";
import type { LeaseClient } from "../../leases/client";
import { type Kept, keepName, keepToken, keptName, keptToken } from "../../leases/keep";
import type { AccessMode } from "../../leases/schemas";
import { useServices } from "../../services";
import { useSession } from "../../session";

/** Who somebody is where nobody is asked. */
export const GUEST = "guest";

export interface CallerTools {
  /** null: it is not known yet who asks. */
  client: LeaseClient | null;
  /** Why it is not known any more. */
  notice: Trouble | null;
  /** With `open`: who is said to ask. */
  name: string;
  rename(name: string): void;
  /** With `token`: whose token it is, and whether it stays in this browser. */
  enter(kept: Kept, stay: boolean): void;
  leave(): void;
  /** Tells that a call failed; forgets a token that does not count, and ends a session that is over. */
  failed(error: unknown): void;
}

/** Who asks, by the stack's way of access: a name, an API token, or the page's session. */
export function useCaller(access: AccessMode): CallerTools {
  const { leases } = useServices();
  const { state, failed: sessionFailed } = useSession();
  const [name, setName] = useState(() => keptName() ?? GUEST);
  const [kept, setKept] = useState<Kept | null>(keptToken);
  const [notice, setNotice] = useState<Trouble | null>(null);
  const address = state.phase === "in" ? state.session.address : null;

  const client = useMemo(() => {
    if (access === "open") return leases.as({ access, username: name });
    if (access === "token") return kept ? leases.as({ access, ...kept }) : null;
    return address ? leases.as({ access }) : null;
  }, [leases, access, name, kept, address]);

  const rename = useCallback((to: string) => {
    keepName(to === GUEST ? null : to);
    setName(to);
  }, []);
  const enter = useCallback((who: Kept, stay: boolean) => {
    keepToken(who, stay);
    setNotice(null);
    setKept(who);
  }, []);
  const leave = useCallback(() => {
    keepToken(null);
    setKept(null);
  }, []);
  const failed = useCallback(
    (error: unknown) => {
      if (!(error instanceof Problem && error.signedOut)) return;
      if (access === "pass") return sessionFailed(error);
      if (access === "token") {
        leave();
        setNotice(error.trouble);
      }
    },
    [access, leave, sessionFailed],
  );
  return { client, notice, name, rename, enter, leave, failed };
}
