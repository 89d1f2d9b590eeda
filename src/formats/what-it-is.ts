import type { ByteSource } from "./bytes.ts";

// biome-ignore-start lint/suspicious/noControlCharactersInRegex: the first bytes of binary files have them
/** What comes in place of any file, by its first bytes (as latin-1). */
const INSTEAD: readonly (readonly [start: RegExp, what: string])[] = [
  [
    /^version https:\/\/git-lfs/,
    "this is a git-lfs pointer, not the file that it stands for; run `git lfs pull` in its repository, or download the file itself",
  ],
  [
    /^(\xef\xbb\xbf)?\s*<(!doctype html|html|head|!--|\?xml|script)/i,
    "this is a web page, not the file: it was saved from an address that shows a page (of a download, a login or an error); download the file itself",
  ],
  [/^\0{64}/, "the file begins with zeros: a download that was not finished; download it again"],
];

/** Files that people have where weights should be. */
const KNOWN: typeof INSTEAD = [
  ...INSTEAD,
  [/^\x1f\x8b/, "this is a gzip file; unpack it first (gunzip, or tar -xzf where it is a .tar.gz)"],
  [/^BZh\d/, "this is a bzip2 file; unpack it first (bunzip2)"],
  [/^\xfd7zXZ\0/, "this is an xz file; unpack it first (unxz)"],
  [/^\x28\xb5\x2f\xfd/, "this is a zstd file; unpack it first (unzstd)"],
  [/^7z\xbc\xaf\x27\x1c/, "this is a 7z archive; unpack it first"],
  [/^Rar!\x1a\x07/, "this is a rar archive; unpack it first"],
  [/^[\s\S]{257}ustar/, "this is a tar archive; unpack it first (tar -xf)"],
  [/^\x89HDF\r\n/, "this is an HDF5 file (Keras); expected safetensors or what torch.save writes"],
  [
    /^\x08[\x01-\x0f]\x12[\x01-\x40][\x20-\x7e]/,
    "this is an ONNX file, a graph without the names of the weights; expected safetensors or what torch.save writes",
  ],
  [
    /^(\(dp\d|\(lp\d|c[\w.]+\n\w+\n)/,
    "this is a pickle in text (protocol 0), which torch.save does not write; save it with torch.save(model.state_dict(), FILE)",
  ],
  [/^GGUF/, "this is a GGUF file (llama.cpp); expected safetensors or what torch.save writes"],
  [/^\x93NUMPY/, "this is one array of NumPy (.npy)"],
  [/^\x89PNG\r\n/, "this is a PNG picture"],
  [/^\xff\xd8\xff/, "this is a JPEG picture"],
  [/^%PDF-/, "this is a PDF"],
  [
    /^(\xef\xbb\xbf)?\s*[{[]\s*("|[{[\]}]|-?\d)/,
    "this is a JSON text, such as an index or a configuration; the weights are in another file",
  ],
  // The last: a whole file of little text.
  [
    /^(\xef\xbb\xbf)?[\t\r\n\x20-\x7e]{1,511}$/,
    "this is a short text, such as the error of a download, not the file itself; look at it, and download it again",
  ],
];
// biome-ignore-end lint/suspicious/noControlCharactersInRegex: the first bytes of binary files have them

const nameOf = (known: typeof INSTEAD, start: Uint8Array, size: number): string | undefined => {
  if (size === 0) return "the file is empty (0 bytes); download or save it again";
  const text = String.fromCharCode(...start.subarray(0, 512));
  return known.find(([pattern]) => pattern.test(text))?.[1];
};

/** What a file is that came in place of the right one, whatever that is: a pointer, a web page, nothing. `start` are its first 512 bytes. */
export const whatCameInstead = (start: Uint8Array, size: number): string | undefined => nameOf(INSTEAD, start, size);

/** What a file is, as a sentence that says what to do, where it is nothing that holds weights; undefined where it may be. */
export const whatItIs = (source: ByteSource): string | undefined =>
  nameOf(KNOWN, source.read(0, Math.min(source.size, 512)), source.size);
