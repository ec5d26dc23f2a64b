import { type ReactNode, useCallback, useMemo, useState } from "react";
import type { Device } from "../../api/schemas";
import { usePoll } from "../../hooks/usePoll";
import type { KeyPair } from "../../keys/pair";
import type { Place } from "../../keys/wgquick";
import { useNodes } from "../../nodes/useNodes";
import { TroubleNotice } from "../../parts/Notice";
import { useServices } from "../../services";
import { useSession } from "../../session";
import { AddDevice } from "./AddDevice";
import { DeviceFile } from "./DeviceFile";
import { Devices } from "./Devices";
import { SignIn } from "./SignIn";
import { type SignerChoice, useSigner } from "./useSigner";

/** The device whose file is shown. */
export interface Shown {
  token: string;
  pair: KeyPair;
  place: Place;
}

export function Connect(): ReactNode {
  const { state } = useSession();
  const signer = useSigner();
  return (
    <>
      <h1 tabIndex={-1}>Connect a device</h1>
      {state.phase === "loading" ? <p className="quiet">Looking whether you are signed in…</p> : null}
      {state.phase === "out" ? (
        <>
          <p className="lead">
            Your pass opens a private network. Sign in, make a key for your device, and load it into WireGuard.
          </p>
          <SignIn signer={signer} notice={state.notice} />
        </>
      ) : null}
      {state.phase === "in" ? <SignedIn key={state.session.address} signer={signer} account={state.session.address} /> : null}
    </>
  );
}

const DEVICES_EVERY = 5_000;

function SignedIn({ signer, account }: { signer: SignerChoice; account: string }): ReactNode {
  const { client, keys } = useServices();
  const { failed } = useSession();
  const [shown, setShown] = useState<Shown | null>(null);
  const nodes = useNodes();

  const loadConfig = useCallback((signal: AbortSignal) => client.config(signal), [client]);
  const config = usePoll(loadConfig, 60_000, { onError: failed });
  const loadDevices = useCallback((signal: AbortSignal) => client.devices(signal), [client]);
  const devices = usePoll(loadDevices, DEVICES_EVERY, { onError: failed });
  const loadPasses = useCallback((signal: AbortSignal) => client.passes(signal), [client]);
  const passes = usePoll(loadPasses, 15_000, { onError: failed });

  const signing = useMemo(
    () => (signer.wallet && config.data ? { client, wallet: signer.wallet, account, config: config.data } : null),
    [client, signer.wallet, account, config.data],
  );
  const { refresh: refreshDevices } = devices;
  const { refresh: refreshPasses } = passes;
  const changed = useCallback(() => {
    refreshDevices();
    refreshPasses();
  }, [refreshDevices, refreshPasses]);

  const show = (device: Device): void => {
    const pair = keys.find(device.key);
    if (pair) setShown({ token: device.token, pair, place: device });
  };

  return (
    <>
      {config.trouble && !config.data ? <TroubleNotice trouble={config.trouble} /> : null}
      <WalletLine signer={signer} />
      {shown && config.data ? (
        <DeviceFile key={shown.pair.publicKey} shown={shown} config={config.data} nodes={nodes} onClose={() => setShown(null)} />
      ) : null}
      <AddDevice
        signing={signing}
        passes={passes}
        collection={config.data?.collection}
        onShow={setShown}
        onChanged={changed}
      />
      <Devices devices={devices} signing={signing} onShow={show} onChanged={changed} shownKey={shown?.pair.publicKey} onGone={() => setShown(null)} />
    </>
  );
}

/** Which wallet signs, where that is not plain. */
function WalletLine({ signer }: { signer: SignerChoice }): ReactNode {
  if (signer.wallet || !signer.settled) return null;
  if (signer.wallets.length === 0) {
    return (
      <TroubleNotice
        trouble={{ what: "Your wallet is gone.", why: "No wallet answers in this browser.", todo: "Switch it on and reload the page. Nothing can be signed until then." }}
      />
    );
  }
  return (
    <fieldset className="card">
      <legend>Which wallet signs?</legend>
      <div className="row">
        {signer.wallets.map((wallet) => (
          <button key={wallet.id} type="button" onClick={() => signer.choose(wallet)}>
            {wallet.name}
          </button>
        ))}
      </div>
    </fieldset>
  );
}
