import { type ReactNode, useState } from "react";
import { type Trouble, toTrouble } from "../../api/problem";
import { Note, TroubleNotice } from "../../parts/Notice";
import { useSession } from "../../session";
import type { Wallet } from "../../wallet/provider";
import type { SignerChoice } from "./useSigner";

const doing = {
  account: "Choose an account in your wallet.",
  sign: "Sign the message in your wallet. It costs nothing.",
  check: "Checking your signature.",
} as const;

export function SignIn({ signer, notice }: { signer: SignerChoice; notice?: Trouble | undefined }): ReactNode {
  const { signIn, retry } = useSession();
  const [busy, setBusy] = useState<{ wallet: string; step: keyof typeof doing } | null>(null);
  const [trouble, setTrouble] = useState<Trouble | null>(null);

  const start = async (wallet: Wallet): Promise<void> => {
    setTrouble(null);
    setBusy({ wallet: wallet.id, step: "account" });
    try {
      signer.choose(wallet);
      await signIn(wallet, (step) => setBusy({ wallet: wallet.id, step }));
    } catch (error) {
      setTrouble(toTrouble(error));
      setBusy(null);
    }
  };

  return (
    <section aria-labelledby="sign-in" className="card">
      <h2 id="sign-in">Sign in with your wallet</h2>
      <p className="quiet">
        The account that holds your pass signs a message. That moves nothing and costs nothing.
      </p>
      {trouble ? <TroubleNotice trouble={trouble} /> : null}
      {!trouble && notice ? (
        <div className="notice warn" role="status">
          <p>
            <strong>{notice.what}</strong> {notice.why} {notice.todo}
          </p>
          {notice.what.startsWith("The server") ? (
            <button type="button" onClick={retry}>
              Try again
            </button>
          ) : null}
        </div>
      ) : null}
      <ul className="choices">
        {signer.wallets.map((wallet) => (
          <li key={wallet.id}>
            <button type="button" className="choice" disabled={busy !== null} onClick={() => void start(wallet)}>
              {wallet.icon ? <img src={wallet.icon} alt="" width="28" height="28" /> : <span className="blank-icon" aria-hidden="true" />}
              <span>{wallet.name}</span>
            </button>
          </li>
        ))}
      </ul>
      {busy ? <Note tone="plain">{doing[busy.step]}</Note> : null}
      {signer.wallets.length === 0 ? <NoWallet settled={signer.settled} /> : null}
    </section>
  );
}

function NoWallet({ settled }: { settled: boolean }): ReactNode {
  if (!settled) return <p className="quiet">Looking for wallets…</p>;
  return (
    <div className="empty" role="status">
      <p>
        <strong>This browser has no wallet.</strong>
      </p>
      <p>
        Install one as an extension, or open this page in your wallet’s own browser on a phone, then reload. In a
        terminal, <code>berth connect</code> does the same as this page.
      </p>
    </div>
  );
}
