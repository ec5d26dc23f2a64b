"use strict";

// Keeps the status page current without reloading it: asks /health every few seconds and marks what it says.
// The marks are attributes; the words for each state are in the page already, for the first view and for readers.

const seconds = 5;
const summary = document.getElementById("summary");
const updated = document.getElementById("updated");
const pause = document.getElementById("pause");

function mark(element, state) {
  if (element && element.dataset.state !== state) element.dataset.state = state;
}

async function refresh() {
  if (document.hidden || pause.getAttribute("aria-pressed") === "true") return;
  try {
    const answer = await fetch("/health", { cache: "no-store", signal: AbortSignal.timeout(4000) });
    const health = await answer.json();
    mark(summary, health.status);
    for (const [name, check] of Object.entries(health.checks)) {
      mark(document.querySelector(`[data-part="${CSS.escape(name)}"]`), check.ok ? "up" : "down");
    }
    updated.textContent = `Updated at ${new Date().toLocaleTimeString()}.`;
  } catch {
    mark(summary, "lost");
  }
}

pause.hidden = false;
pause.addEventListener("click", () => {
  const paused = pause.getAttribute("aria-pressed") !== "true";
  pause.setAttribute("aria-pressed", String(paused));
  if (!paused) refresh();
});
document.addEventListener("visibilitychange", refresh);
setInterval(refresh, seconds * 1000);
refresh();
