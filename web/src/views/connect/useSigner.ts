import { useCallback, useState } from "react";
import { useServices } from "../../services";
import { useWallets } from "../../wallet/discovery";
import type { Wallet } from "../../wallet/provider";

const CHOSEN = "berth.wallet";

export interface SignerChoice {
  wallets: readonly Wallet[];
  settled: boolean;
  /** The wallet that signs: the one chosen in this tab, or the only one there is. */
  wallet: Wallet | null;
  choose(wallet: Wallet): void;
}

export function useSigner(): SignerChoice {
  const { finder } = useServices();
  const { wallets, settled } = useWallets(finder);
  const [chosen, setChosen] = useState<string | null>(remembered);
  const choose = useCallback((wallet: Wallet) => {
    setChosen(wallet.id);
    try {
      sessionStorage.setItem(CHOSEN, wallet.id);
    } catch {
      // Without storage it is asked again after a reload: no more than that.
    }
  }, []);
  const only = wallets.length === 1 ? (wallets[0] ?? null) : null;
  return { wallets, settled, wallet: wallets.find((one) => one.id === chosen) ?? only, choose };
}

function remembered(): string | null {
  try {
    return sessionStorage.getItem(CHOSEN);
  } catch {
    return null;
  }
}
