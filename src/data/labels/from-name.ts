/**
 * The class in a file's name, `golden_retriever_0001.png`: what stands before the number at its end. Undefined where there is no such
 * number, or nothing before it.
 */
export function classFromName(path: string): string | undefined {
  const stem = path.slice(path.lastIndexOf("/") + 1).replace(/\.[^.]*$/, "");
  const found = /^(.*[^ _.(-])[ _.-]+\(?\d+\)?$/.exec(stem) ?? /^(.*[^ _.(\d-])\(?\d+\)?$/.exec(stem);
  return found?.[1]?.normalize("NFC");
}
