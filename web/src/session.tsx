/** Who is signed in, for the whole page. */
import { type ReactNode, createContext, useCallback, useContext, useEffect, useMemo, useState } from "react";
import { Problem, type Trouble, toTrouble } from "./api/problem";
import type { Session } from "./api/schemas";
import { useServices } from "./services";
import { type Wallet, chooseAccount, same, signText } from "./wallet/provider";

export type SessionState =
  | { phase: "loading" }
  | { phase: "out"; notice?: Trouble }
  | { phase: "in"; session: Session };

interface SessionTools {
  state: SessionState;
  /** Signs in with EIP-4361.  Throws what the wallet or the server refuses. */
  signIn(wallet: Wallet, onStep: (step: "account" | "sign" | "check") => void): Promise<void>;
  signOut(): Promise<void>;
  /** Tells that a call failed; ends the session here when that is what the failure means. */
  failed(error: unknown): void;
  retry(): void;
}

const SessionContext = createContext<SessionTools | null>(null);

const ended: Trouble = { what: "Your session has ended.", todo: "Sign in again to go on." };
/** Longest delay that a browser's timer takes. */
const LONGEST = 2 ** 31 - 1;

export function SessionProvider({ children }: { children: ReactNode }): ReactNode {
  const { client } = useServices();
  const [state, setState] = useState<SessionState>({ phase: "loading" });
  const [attempt, setAttempt] = useState(0);

  useEffect(() => {
    const gone = new AbortController();
    client.session(gone.signal).then(
      (session) => setState({ phase: "in", session }),
      (error: unknown) => {
        if (gone.signal.aborted) return;
        const missing = error instanceof Problem && error.signedOut;
        setState(missing ? { phase: "out" } : { phase: "out", notice: toTrouble(error) });
      },
    );
    return () => gone.abort();
  }, [client, attempt]);

  // The session ends while the page is open: say so then, not at the next click.
  const expiresAt = state.phase === "in" ? state.session.expiresAt : null;
  useEffect(() => {
    if (expiresAt === null) return undefined;
    const left = Math.max(0, expiresAt * 1000 - Date.now());
    if (left > LONGEST) return undefined;
    const timer = setTimeout(() => setState({ phase: "out", notice: ended }), left);
    return () => clearTimeout(timer);
  }, [expiresAt]);

  const signIn = useCallback<SessionTools["signIn"]>(
    async (wallet, onStep) => {
      onStep("account");
      const address = await chooseAccount(wallet);
      const { message, nonce } = await client.nonce(address);
      onStep("sign");
      const signature = await signText(wallet, address, message);
      onStep("check");
      const session = await client.signIn(nonce, signature);
      if (!same(session.address, address)) {
        throw new Problem(200, "odd-answer", { what: "The server signed in another account than yours.", todo: "Reload the page and try again." });
      }
      setState({ phase: "in", session });
    },
    [client],
  );

  const signOut = useCallback(async () => {
    try {
      await client.signOut();
      setState({ phase: "out" });
    } catch (error) {
      if (error instanceof Problem && error.signedOut) setState({ phase: "out" });
      else throw error;
    }
  }, [client]);

  const failed = useCallback((error: unknown) => {
    if (error instanceof Problem && error.signedOut) setState({ phase: "out", notice: ended });
  }, []);

  const retry = useCallback(() => {
    setState({ phase: "loading" });
    setAttempt((count) => count + 1);
  }, []);

  const tools = useMemo(() => ({ state, signIn, signOut, failed, retry }), [state, signIn, signOut, failed, retry]);
  return <SessionContext value={tools}>{children}</SessionContext>;
}

export function useSession(): SessionTools {
  const tools = useContext(SessionContext);
  if (tools === null) throw new Error("useSession is used outside of SessionProvider");
  return tools;
}
