import { type ReactNode, useState } from "react";

/** A button that copies a text (a function: made when it is pressed) and says whether it did. */
export function CopyButton({ text, children }: { text: string | (() => string); children: ReactNode }): ReactNode {
  const [said, setSaid] = useState("");
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(typeof text === "string" ? text : text());
      setSaid("Copied");
    } catch {
      setSaid("The browser did not allow it");
    }
    setTimeout(() => setSaid(""), 4000);
  };
  return (
    <span className="copy">
      <button type="button" onClick={() => void copy()}>
        {children}
      </button>
      <span role="status" className="quiet">
        {said}
      </span>
    </span>
  );
}
