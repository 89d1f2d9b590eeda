import { DataError } from "../errors.ts";
import { readNpy } from "../formats/npy.ts";
import { arrayItems, type Layout, numberedClasses } from "./layout.ts";

/** Samples as an `.npz`: `arr_0` [N, H, W, C] uint8, C = 1 or 3, and labels `arr_1` [N]; without `arr_1` there are no classes. */
export const npzImages: Layout = async (entries) => {
  const read = async (name: string) => {
    const entry = entries.find(({ path }) => path === `${name}.npy`);
    return entry && readNpy(await entry.read(), name);
  };
  const [images, labels] = [await read("arr_0"), await read("arr_1")];
  if (!images) return undefined;
  const [count = 0, height = 0, width = 0, channels = 0] = images.shape;
  if (images.dtype !== "uint8" || images.shape.length !== 4 || (channels !== 1 && channels !== 3))
    throw new DataError(`arr_0: expected uint8 [N, H, W, 1 or 3] but it is ${images.dtype} [${images.shape}]`);
  const y = labels ? Array.from(labels.data, Number) : new Array<number>(count).fill(0);
  if (y.length !== count)
    throw new DataError(`arr_1: expected ${count} labels but it is ${labels?.dtype} [${labels?.shape}]`);
  const bad = y.findIndex((label) => !Number.isInteger(label) || label < 0 || label > 0xffff);
  if (bad >= 0)
    throw new DataError(
      `arr_1: expected labels, whole numbers from 0 to 65535, but that of image ${bad} is ${labels?.data[bad]}`,
    );

  const { data } = images;
  const size = height * width * channels;
  const image = (i: number) => ({ width, height, channels, data: data.subarray(i * size, (i + 1) * size) }) as const;
  return {
    layout: labels ? "npz" : "npz without labels",
    classes: labels ? numberedClasses(y) : [],
    labelsFrom: labels && "arr_1",
    train: arrayItems("arr_0", y, image),
    test: [],
    skipped: [],
  };
};
