import { type ReactNode, useEffect, useRef, useState } from "react";
import { type Trouble, toTrouble } from "./api/problem";
import { ErrorBoundary } from "./parts/ErrorBoundary";
import { TroubleNotice } from "./parts/Notice";
import { short } from "./parts/time";
import { Link, usePath } from "./router";
import { type Services, ServicesContext } from "./services";
import { SessionProvider, useSession } from "./session";
import { views } from "./views";

export function App({ services }: { services: Services }): ReactNode {
  return (
    <ServicesContext value={services}>
      <SessionProvider>
        <Page />
      </SessionProvider>
    </ServicesContext>
  );
}

function Page(): ReactNode {
  const path = usePath();
  const view = views.find((one) => one.path === path);
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useEffect(() => {
    document.title = view ? `${view.title} · berth` : "No such page · berth";
    // After a change of view, readers and keyboards go on at its heading; not at the first load.
    if (!first.current) main.current?.querySelector("h1")?.focus();
    first.current = false;
  }, [view]);
  const Shown = view?.show ?? NotFound;
  return (
    <>
      <a className="skip" href="#main">
        To the content
      </a>
      <header className="top">
        <Link to="/connect" className="brand">
          <img src="/icon.svg" alt="" width="28" height="28" /> berth
        </Link>
        <nav aria-label="Views">
          {views.filter((one) => !one.aside).map((one) => (
            <Link key={one.path} to={one.path}>
              {one.title}
            </Link>
          ))}
        </nav>
        <Account />
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        <ErrorBoundary scope={path}>
          <Shown />
        </ErrorBoundary>
      </main>
    </>
  );
}

function Account(): ReactNode {
  const { state, signOut } = useSession();
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  if (state.phase !== "in") return null;
  const leave = async (): Promise<void> => {
    setTrouble(null);
    try {
      await signOut();
    } catch (error) {
      setTrouble(toTrouble(error));
    }
  };
  return (
    <div className="account">
      <code title={state.session.address}>{short(state.session.address)}</code>
      <button type="button" onClick={() => void leave()}>
        Sign out
      </button>
      {trouble ? <TroubleNotice trouble={trouble} /> : null}
    </div>
  );
}

function NotFound(): ReactNode {
  return (
    <>
      <h1 tabIndex={-1}>There is no such page</h1>
      <p>
        Perhaps the address is misspelt, or what was here has ended. <Link to="/connect">To Connect</Link>
      </p>
    </>
  );
}
