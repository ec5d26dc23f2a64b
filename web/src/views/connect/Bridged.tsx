import { Fragment, type ReactNode } from "react";
import type { Config, VpnNode } from "../../api/schemas";
import { LOCAL, nudge } from "../../keys/bridge";
import { CopyButton } from "../../parts/Copy";

interface ChoiceProps {
  possible: boolean;
  blocked: boolean;
  onChange(blocked: boolean): void;
}

/** Whether this network lets UDP out: only who is on it can tell. */
export function BridgeChoice({ possible, blocked, onChange }: ChoiceProps): ReactNode {
  return (
    <div className="keep way">
      <label className="check">
        <input type="checkbox" checked={blocked} disabled={!possible && !blocked} onChange={(event) => onChange(event.target.checked)} />
        <span>
          UDP blocked?{" "}
          <span className="quiet">
            {possible
              ? "If WireGuard gets no answer on this network, let a TCP bridge carry it. On a computer, not on a phone."
              : "No node has a TCP bridge just now that could carry WireGuard instead."}
          </span>
        </span>
      </label>
    </div>
  );
}

/** What has to run beside WireGuard, for the file that leads through a bridge. */
export function BridgeSteps({ node, file, config }: { node: VpnNode; file: string; config: Config }): ReactNode {
  const to = node.bridges[0];
  const inside = nudge(config.tunnelSubnet);
  const alone = ["berth-bridge udp2tcp", `--udp-listen ${LOCAL}`, ...node.bridges.map((bridge) => `--tcp-forward ${bridge}`)];
  if (inside) alone.push(`--nudge ${inside}`);
  return (
    <section className="bridge" aria-label="Through the bridge">
      <ol>
        <li>
          <p>Start the tunnel to the bridge, and leave it running:</p>
          <Command text={`sudo berth tunnel --url ${window.location.origin} --config ${file}`} />
          <p className="quiet">It goes on to another bridge or node by itself, and shows how it is.</p>
        </li>
        <li>
          <p>Then start WireGuard, in another terminal:</p>
          <Command text={`sudo wg-quick up ./${file}`} />
        </li>
      </ol>
      {to === undefined ? null : (
        <details>
          <summary>Without the berth command</summary>
          <p>In place of the first step, with the bridge&apos;s program alone:</p>
          <Command text={alone.join(" ")} />
          <p>or with Mullvad&apos;s udp2tcp, which takes an address in place of a name and has to be started again when its connection ends:</p>
          <Command text={`udp2tcp --udp-listen ${LOCAL} --tcp-forward ${to}`} />
        </details>
      )}
    </section>
  );
}

/** Something to type.  It breaks between words alone: a hyphen at a line's end could be anybody's. */
function Command({ text }: { text: string }): ReactNode {
  return (
    <div className="command">
      <code>
        {text.split(" ").map((word, at) => (
          // oxlint-disable-next-line no-array-index-key -- words come twice, and never move
          <Fragment key={at}>
            {at > 0 ? " " : ""}
            <span>{word}</span>
          </Fragment>
        ))}
      </code>
      <CopyButton text={text}>Copy</CopyButton>
    </div>
  );
}
