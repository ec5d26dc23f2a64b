import { type ReactNode, useId } from "react";

/** What ties an input to its label, its hint and what is wrong with it. */
export interface FieldProps {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": boolean;
}

interface Props {
  label: string;
  hint?: ReactNode;
  /** What is wrong with what was entered. */
  wrong?: string | null;
  children(field: FieldProps): ReactNode;
}

/** A labelled input; what is wrong with it is said beside it, and read with it. */
export function Field({ label, hint, wrong, children }: Props): ReactNode {
  const id = useId();
  const described = [hint ? `${id}-hint` : "", wrong ? `${id}-wrong` : ""].filter(Boolean).join(" ");
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({ id, "aria-describedby": described || undefined, "aria-invalid": Boolean(wrong) })}
      {hint ? (
        <span id={`${id}-hint`} className="quiet">
          {hint}
        </span>
      ) : null}
      {wrong ? (
        <span id={`${id}-wrong`} className="wrong" role="alert">
          {wrong}
        </span>
      ) : null}
    </div>
  );
}
