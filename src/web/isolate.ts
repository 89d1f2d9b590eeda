/**
 * Makes a page cross-origin isolated, which WebAssembly needs for threads, where its host sends no headers of its own: registers a service
 * worker that adds them, and loads the page again, once. Hosts that can should send `Cross-Origin-Opener-Policy: same-origin` and
 * `Cross-Origin-Embedder-Policy: require-corp`; then nothing happens here. An isolated page gets nothing from other origins that does not
 * allow it (CORS, or `Cross-Origin-Resource-Policy`).
 *
 * @param worker address of the service worker: a copy of `node_modules/guidestar/dist/web/isolation-worker.js` in the page's folder, or above
 * @returns whether the page is isolated; false where browsers don't allow it, as on pages that came by plain http. The page is loaded again
 *   before anything is returned where that helps.
 */
export async function isolatePage(worker: string | URL = "isolation-worker.js"): Promise<boolean> {
  if (globalThis.crossOriginIsolated) return true;
  if (!globalThis.isSecureContext || !("serviceWorker" in navigator)) return false;
  const { serviceWorker } = navigator;
  // Once: where it does not help, it would never end.
  const mark = `guidestar isolated ${location.pathname}`;
  if (sessionStorage.getItem(mark) !== null && serviceWorker.controller) return false;
  try {
    const registration = await serviceWorker.register(new URL(worker, document.baseURI), { type: "module" });
    if (!(await isActive(registration))) return false;
  } catch {
    return false;
  }
  sessionStorage.setItem(mark, "");
  location.reload();
  return new Promise(() => undefined);
}

/** Resolves when the worker of a registration is active, or to false where its installing failed, after which it never is. */
function isActive({ installing, waiting, active }: ServiceWorkerRegistration): Promise<boolean> {
  const worker = (installing ?? waiting ?? active)!;
  return new Promise((resolve) => {
    const look = (): void => {
      if (worker.state === "activated") resolve(true);
      if (worker.state === "redundant") resolve(false);
    };
    worker.addEventListener("statechange", look);
    look();
  });
}
