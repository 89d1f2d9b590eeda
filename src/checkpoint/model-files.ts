import { ModelError } from "../errors.ts";
import { bytesOf } from "../formats/bytes.ts";
import { checkFile, type Model, modelOf, parseRecord, parseWeights } from "./model.ts";

/**
 * A model from the contents of its files, where there is no folder to read them from: what a browser fetched, or a database holds.
 * `loadModel` reads folders.
 *
 * @param files contents by name: `model.json`, and each safetensors file that it names
 * @param source what messages and records call the model
 * @throws ModelError where a file is missing, or anything in it does not fit: schema, hash, names, shapes, numbers that are not finite
 */
export async function modelFromFiles(
  files: Readonly<Record<string, string | Uint8Array<ArrayBuffer>>>,
  source = "model",
): Promise<Model> {
  const contentsOf = (name: string): string | Uint8Array<ArrayBuffer> => {
    if (!Object.hasOwn(files, name))
      throw new ModelError(
        `${source}: expected the contents of ${name} but only these came: ${Object.keys(files).join(", ") || "none"}`,
      );
    return files[name]!;
  };
  const record = contentsOf("model.json");
  const text = typeof record === "string" ? record : new TextDecoder().decode(record);
  return modelOf(parseRecord(text, `${source}/model.json`), source, async (network) => {
    const where = `${source}/${network.file}`;
    const bytes = contentsOf(network.file);
    if (typeof bytes === "string") throw new ModelError(`${where}: expected bytes but a string came`);
    checkFile(bytesOf(bytes), await sha256(bytes), network, where);
    return parseWeights(bytesOf(bytes), network, where, (tensor) => tensor.read());
  });
}

/** SHA-256 in hexadecimal digits. Browsers have it on pages that came by https or from localhost. */
async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
