import "./style.css";
import { isolatePage } from "guidestar/web";
import { mount } from "svelte";
import App from "./App.svelte";
import { type PageRecord, Session } from "./session.svelte.ts";

/** Adds the headers that threads need, and keeps the page for when there is no network. */
const serviceWorker = "isolation-worker.js?keep=page.json";

async function start(): Promise<void> {
  const target = document.getElementById("app")!;
  await isolatePage(serviceWorker);
  // A page that its host isolates has no worker yet.
  void navigator.serviceWorker?.register(serviceWorker, { type: "module" }).catch(() => undefined);
  const record: PageRecord = await (await fetch("page.json")).json();
  document.title = record.title;
  // Another model may be asked for by ?model=ADDRESS.
  const model = new URLSearchParams(location.search).get("model");
  const session = new Session(record, model);
  mount(App, { target, props: { session } });
}

// From a disk there are no modules, so this never runs there; see index.html.
start().catch((error: Error) => {
  document.getElementById("app")!.textContent =
    `page.json, which says what this page draws, cannot be read (${error.message}). Write the page again by \`guidestar page\`, and upload all of it.`;
});
