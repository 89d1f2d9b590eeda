import { DataError } from "../../errors.ts";
import type { Entry, Listing, Skipped } from "../entries.ts";

/** A file of an archive, under the name that the archive has for it. */
export interface Member {
  readonly name: string;
  read(): Promise<Uint8Array>;
}

const ARCHIVE = /\.(zip|tar|tgz|tbz2?|txz|tar\.\w+|7z|rar)$/i;

/** The path of a member within its archive, with `/`; or why it is refused. */
export function memberPath(name: string): { readonly path: string } | { readonly refused: string } {
  // Some programs for Windows write "\", some others "./" and "//". Names that macOS has decomposed are as one types them.
  const path = name.replaceAll("\\", "/").normalize("NFC");
  if (/^(\/|[a-z]:)/i.test(path)) return { refused: "an absolute path; pack the archive again, with paths within it" };
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) return { refused: "its path leads out of its folder (..); pack the archive again" };
  return { path: parts.join("/") };
}

/**
 * What an archive has, by paths within it. Refused ones and archives inside it are listed as skipped. `what` names it in errors.
 *
 * @throws DataError where two names stand for one path
 */
export function listMembers(members: readonly Member[], what: string): Listing {
  const entries = new Map<string, Entry>();
  const names = new Map<string, string>();
  const skipped: Skipped[] = [];
  for (const { name, read } of members) {
    const found = memberPath(name);
    if ("refused" in found) skipped.push({ path: name, reason: found.refused });
    else if (found.path === "" || isHidden(found.path)) continue;
    else if (ARCHIVE.test(found.path)) skipped.push({ path: name, reason: "an archive inside an archive; unpack it" });
    else if (names.has(found.path))
      throw new DataError(
        `${what}: "${names.get(found.path)}" and "${name}" are both named ${found.path}; pack it again without one`,
      );
    else {
      names.set(found.path, name);
      entries.set(found.path, { path: found.path, read });
    }
  }
  return { entries: [...entries.values()], skipped, notes: [] };
}

/** Whether systems hide a path, or something that it is in. */
export const isHidden = (path: string): boolean =>
  path.split("/").some((name) => name.startsWith(".") || name === "__MACOSX");
