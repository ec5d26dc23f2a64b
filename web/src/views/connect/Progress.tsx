import { type ReactNode, useEffect, useState } from "react";
import { STEPS, type Step } from "./flows";

const titles: Record<Step, string> = {
  key: "A key is made in this browser",
  sign: "You sign the registration in your wallet",
  relay: "The relay puts it on chain and pays for it",
  node: "The nodes let the device in",
};
/** Milliseconds at one step after which the page says that it takes long. */
const LONG = 30_000;

const slow: Record<Step, string> = {
  key: "The server is slow to answer.",
  sign: "Your wallet waits for you: open it if you do not see it.",
  relay: "The chain is slow just now. You can leave this open.",
  node: "It is on chain. The nodes take it up as soon as they see that block; you can leave this open.",
};

export function Progress({ step }: { step: Step }): ReactNode {
  const [long, setLong] = useState<Step | null>(null);
  useEffect(() => {
    const timer = setTimeout(() => setLong(step), LONG);
    return () => clearTimeout(timer);
  }, [step]);
  const now = STEPS.indexOf(step);
  return (
    <div>
      <ol className="steps">
        {STEPS.map((one, i) => (
          <li key={one} className={i < now ? "done" : i === now ? "now" : ""} aria-current={i === now ? "step" : undefined}>
            {titles[one]}
            <span className="hidden">{i < now ? " (done)" : ""}</span>
          </li>
        ))}
      </ol>
      <p role="status" className="quiet">
        <span className="hidden">{`Step ${now + 1} of ${STEPS.length}: ${titles[step]}.`}</span> {long === step ? slow[step] : ""}
      </p>
    </div>
  );
}
