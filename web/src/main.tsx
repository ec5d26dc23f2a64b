import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { browserServices } from "./services";
import "./style/base.css";
import "./style/parts.css";

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no element with the id root");
createRoot(root).render(
  <StrictMode>
    <App services={browserServices()} />
  </StrictMode>,
);
