import type { Image } from "guidestar/formats";

/** Gives a file to the browser's downloads. */
export function download(file: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  // Not at once: the download reads it.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** An animation of sheets, made in a worker of its own. */
export function gifOf(
  frames: readonly (readonly Image[])[],
  labels: readonly number[],
): Promise<Uint8Array<ArrayBuffer>> {
  const worker = new Worker(new URL("./gif-worker.ts", import.meta.url), { type: "module" });
  return new Promise<Uint8Array<ArrayBuffer>>((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage({ frames, labels });
  }).finally(() => worker.terminate());
}
