import { counted } from "../../counted.ts";
import { DataError } from "../../errors.ts";
import type { NumpyArray } from "../../formats/npy.ts";

const MOST = 0xffff;

/** The classes of `count` images by name, from labels [N], [N, 1] or one-hot [N, K]. Throws DataError where they are others. */
export function labelsIn({ name, array }: { name: string; array: NumpyArray }, count: number): string[] {
  const { shape, dtype, data } = array;
  const [n = 0, k = 1] = shape;
  if (n !== count || shape.length < 1 || shape.length > 2)
    throw new DataError(`${name}: expected ${counted(count, "label")} but it is ${dtype} [${shape}]`);
  if (dtype === "string") {
    if (k !== 1) throw new DataError(`${name}: expected one name for each image but it is ${dtype} [${shape}]`);
    return data.map((text) => text.normalize("NFC"));
  }
  const values = Array.from(data as ArrayLike<number | bigint>, Number);
  if (k > 1) return oneHot(values, count, k, name);
  const bad = values.findIndex((label) => !Number.isInteger(label) || label < 0 || label > MOST);
  if (bad >= 0)
    throw new DataError(
      `${name}: expected labels, whole numbers from 0 to ${MOST}, but that of image ${bad} is ${values[bad]}`,
    );
  return values.map(String);
}

/** The places of the ones among zeros. */
const oneHot = (values: readonly number[], count: number, k: number, name: string): string[] =>
  Array.from({ length: count }, (_, n) => {
    const row = values.slice(n * k, (n + 1) * k);
    const place = row.indexOf(1);
    if (place < 0 || row.some((value, i) => value !== Number(i === place)))
      throw new DataError(
        `${name}: expected one label for each image, of [${count},${k}] one 1 among zeros in each row, but row ${n} is ${row.slice(0, 8).join(" ")}${k > 8 ? " ..." : ""}; --labels none takes the images alone`,
      );
    return String(place);
  });
