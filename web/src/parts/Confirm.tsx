import { type ReactNode, useEffect, useRef, useState } from "react";
import { type Trouble, toTrouble } from "../api/problem";
import { TroubleNotice } from "./Notice";

interface Props {
  /** On the button that asks, and what it says to readers besides. */
  label: string;
  about: string;
  question: ReactNode;
  yes: string;
  doing: string;
  no: string;
  disabled?: boolean;
  onYes(): Promise<void>;
}

/** Something that cannot be undone: asked about in its place, with the keyboard on the answer that changes nothing. */
export function Confirm({ label, about, question, yes, doing, no, disabled = false, onYes }: Props): ReactNode {
  const [stage, setStage] = useState<"idle" | "sure" | "doing">("idle");
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const first = useRef<HTMLButtonElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const before = useRef(stage);
  useEffect(() => {
    if (stage === "sure") first.current?.focus();
    if (stage === "idle" && before.current !== "idle") opener.current?.focus();
    before.current = stage;
  }, [stage]);

  const run = async (): Promise<void> => {
    setTrouble(null);
    setStage("doing");
    try {
      await onYes();
    } catch (error) {
      setTrouble(toTrouble(error));
    }
    setStage("idle");
  };

  if (stage === "idle") {
    return (
      <>
        <button ref={opener} type="button" disabled={disabled} onClick={() => setStage("sure")}>
          {label}
          <span className="hidden"> {about}</span>
        </button>
        {trouble ? <TroubleNotice trouble={trouble} /> : null}
      </>
    );
  }
  return (
    <div className="confirm" role="group" aria-label={`${label} ${about}`}>
      <p role="status">{question}</p>
      <div className="row">
        <button ref={first} type="button" disabled={stage === "doing"} onClick={() => setStage("idle")}>
          {no}
        </button>
        <button type="button" className="danger" disabled={stage === "doing"} onClick={() => void run()}>
          {stage === "doing" ? doing : yes}
        </button>
      </div>
    </div>
  );
}
