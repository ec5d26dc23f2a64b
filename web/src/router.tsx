/** A few views by path; each is a real address that can be opened and shared. */
import { type MouseEvent, type ReactNode, useSyncExternalStore } from "react";

const MOVED = "berth:moved";

function subscribe(listener: () => void): () => void {
  window.addEventListener("popstate", listener);
  window.addEventListener(MOVED, listener);
  return () => {
    window.removeEventListener("popstate", listener);
    window.removeEventListener(MOVED, listener);
  };
}

/** The path of the view; `/` is the first one's too. */
export function usePath(): string {
  return useSyncExternalStore(subscribe, () => (window.location.pathname === "/" ? "/connect" : window.location.pathname));
}

export function go(path: string): void {
  if (path !== window.location.pathname) window.history.pushState(null, "", path);
  window.dispatchEvent(new Event(MOVED));
}

export function Link({ to, children, className }: { to: string; children: ReactNode; className?: string }): ReactNode {
  const here = usePath() === to;
  const follow = (event: MouseEvent): void => {
    // A click that asks for a new tab or window stays the browser's.
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
  };
  return (
    <a href={to} onClick={follow} className={className} aria-current={here ? "page" : undefined}>
      {children}
    </a>
  );
}
