import { createReadStream, createWriteStream, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { DataError } from "../../errors.ts";
import { makePartialFolder } from "../../files/partial.ts";
import { readTar } from "../../formats/archives/tar.ts";
import type { ByteSource } from "../../formats/bytes.ts";
import { openZip } from "../../formats/zip.ts";
import type { Listing } from "../entries.ts";
import { openBytes } from "./disk.ts";
import { listMembers } from "./members.ts";

/** What a zip has. */
export function listZip(bytes: ByteSource, what: string): Listing {
  const zip = openZip(bytes, what, DataError);
  const members = zip.names
    .filter((name) => !/[/\\]$/.test(name))
    .map((name) => ({ name, read: async () => zip.read(name) }));
  const listing = listMembers(members, what);
  if (!zip.namesInCp437) return listing;
  const [first] = members.filter(({ name }) => /[^ -~]/.test(name));
  return { ...listing, notes: [`names that are not in UTF-8 were read as CP437, such as ${first?.name}`] };
}

/** What a tar has, whose files are then read from `content`. Of two files of one name the later one counts, as tar has it. */
export function listTar(bytes: ByteSource, what: string, content: Pick<ByteSource, "read"> = bytes): Listing {
  const { files, skipped } = readTar(bytes, what, DataError);
  const last = new Map(files.map((file) => [file.name, file]));
  const replaced = files.filter((file) => last.get(file.name) !== file);
  const members = [...last.values()].map(({ name, offset, size }) => ({
    name,
    read: async () => content.read(offset, size),
  }));
  const listing = listMembers(members, what);
  return {
    ...listing,
    skipped: [
      ...listing.skipped,
      ...skipped,
      ...replaced.map(({ name }) => ({ path: name, reason: "the archive has a later file of this name" })),
    ],
  };
}

/**
 * A gzipped file, unpacked into a temporary one, for one cannot jump about in what is gzipped, and memory may be smaller. The file has no name
 * any more when this returns, where the system allows that, so that nothing is left of it whatever happens.
 */
export async function gunzipped(path: string): Promise<{ bytes: ByteSource; close(): void }> {
  const folder = await makePartialFolder(join(tmpdir(), "guidestar-unpacked"));
  try {
    const file = join(folder, "unpacked");
    await pipeline(createReadStream(path), createGunzip(), createWriteStream(file)).catch((cause: Error) => {
      const why =
        (cause as NodeJS.ErrnoException).code === "ENOSPC" ? `there is no room for it in ${tmpdir()}` : cause.message;
      throw new DataError(`${path}: cannot be gunzipped (${why}); is the file whole?`, { cause });
    });
    const { bytes, close } = openBytes(file);
    const remove = () => rmSync(folder, { recursive: true, force: true });
    try {
      remove();
    } catch {} // Windows keeps files that are open
    return {
      bytes,
      close: () => {
        close();
        remove();
      },
    };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}
