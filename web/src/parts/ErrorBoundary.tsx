import { Component, type ReactNode } from "react";
import { toTrouble } from "../api/problem";
import { TroubleNotice } from "./Notice";

interface Props {
  children: ReactNode;
  /** Another value (a path) forgets the error. */
  scope: string;
}

/** A view that throws leaves the others and the navigation usable. */
export class ErrorBoundary extends Component<Props, { error: unknown; scope: string }> {
  override state = { error: null as unknown, scope: this.props.scope };

  static getDerivedStateFromError(error: unknown): { error: unknown } {
    return { error: error ?? new Error("unknown") };
  }

  static getDerivedStateFromProps(props: Props, state: { error: unknown; scope: string }): object | null {
    return props.scope === state.scope ? null : { error: null, scope: props.scope };
  }

  override render(): ReactNode {
    if (this.state.error === null) return this.props.children;
    return (
      <TroubleNotice trouble={{ ...toTrouble(this.state.error), what: "This view has failed." }}>
        <button type="button" onClick={() => this.setState({ error: null })}>
          Show it again
        </button>
      </TroubleNotice>
    );
  }
}
