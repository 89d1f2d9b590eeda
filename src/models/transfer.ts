import { type NDArray, sizeOf } from "../ndarray.ts";
import { parameterShapes } from "../nn/module.ts";
import { show } from "../tensor/shape.ts";
import { familyOf, type NetworkDescription, networkOf, signatureOf } from "./families.ts";
import type { DataParameters, NetworkRole } from "./family.ts";

/** A network, and the names of its model's classes, in the order of their labels. */
export interface NetworkOfClasses {
  /** Its family and config. */
  readonly network: NetworkDescription;
  /** Names of the classes. */
  readonly classes: readonly string[];
}

/** What a network takes over from another one, and how: what `planTransfer` gives. */
export interface Transfer {
  /** Learned numbers of the new network, and how many of them are taken over. */
  readonly parameters: number;
  /** How many of them are taken over, as they are or with their channels changed. */
  readonly taken: number;
  /** Classes whose own numbers are taken over, for one of the same name was there. */
  readonly sameClasses: readonly string[];
  /** Classes whose own numbers begin anew. */
  readonly newClasses: readonly string[];
  /** Keys of the tensors that begin anew, those of the classes apart. */
  readonly newTensors: readonly string[];
  /** Channels of the images, before and now, where they differ. */
  readonly channels: readonly [before: number, now: number] | undefined;
  /** The new network's weights, of those of the old one and of those with which the new one would begin by itself. */
  weights(
    old: Readonly<Record<string, NDArray<"float32">>>,
    initial: Readonly<Record<string, NDArray<"float32">>>,
  ): Record<string, NDArray<"float32">>;
}

/** How a tensor comes about: so many numbers are taken over, by writing them into its first values, which may be changed. */
interface Part {
  readonly taken: number;
  write(old: Float32Array, into: Float32Array): void;
}

/**
 * Which weights of a network another one begins with when it is fine-tuned, by these rules:
 *
 * - A tensor of the same name and shape is taken over. Convolutions know no size of images, so other sizes change nothing for them.
 * - Numbers of a class (the rows of its embedding, or its logit) are taken over where a class of the same name was there; so are those of
 *   "no class". All other classes begin anew.
 * - From grey to colour the kernel that sees the image is divided by the channels, for each of them, and the one that gives the output is
 *   repeated: of an image whose channels are equal the colour network says in each of them what the grey one says of the grey image.
 *   From colour to grey the first is the sum over the channels, the last the mean.
 * - With learned variances on one side alone, what gives the prediction is taken over.
 * - All else begins anew.
 *
 * @throws ModelError for a family that is not known
 */
export function planTransfer(role: NetworkRole, from: NetworkOfClasses, to: NetworkOfClasses): Transfer {
  const [old, now] = [sideOf(role, from), sideOf(role, to)];
  const parts = new Map<string, Part>();
  for (const [name, shape] of Object.entries(now.shapes)) {
    const before = Object.hasOwn(old.shapes, name) ? old.shapes[name] : undefined;
    const part = before && partOf(name, [before, old], [shape, now]);
    if (part) parts.set(name, part);
  }
  const knowsClasses = now.data.classes.some((name) => parts.has(name));
  return {
    parameters: Object.values(now.shapes).reduce((sum, shape) => sum + sizeOf(shape), 0),
    taken: [...parts.values()].reduce((sum, { taken }) => sum + taken, 0),
    sameClasses: to.classes.filter((name) => knowsClasses && from.classes.includes(name)),
    newClasses: to.classes.filter((name) => !knowsClasses || !from.classes.includes(name)),
    newTensors: Object.keys(now.shapes).filter((name) => !parts.has(name) && !now.data.classes.includes(name)),
    channels: old.channels === now.channels ? undefined : [old.channels, now.channels],
    weights: (values, initial) =>
      Object.fromEntries(
        Object.entries(initial).map(([name, array]) => {
          const part = parts.get(name);
          if (!part) return [name, array];
          const data = array.data.slice();
          part.write(values[name]!.data, data);
          return [name, { ...array, data }];
        }),
      ),
  };
}

/** What the rules ask about a network. */
interface Side {
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly data: DataParameters;
  readonly classes: readonly string[];
  /** Of the images. */
  readonly channels: number;
  /** How often the output has the channels of the image: twice with learned variances. */
  readonly outputs: number;
}

function sideOf(role: NetworkRole, { network, classes }: NetworkOfClasses): Side {
  const signature = signatureOf(role, network);
  const [channels] = signature.imageShape;
  return {
    shapes: parameterShapes(networkOf(role, network)),
    data: familyOf(role, network.kind).dataParameters?.(network.config) ?? { image: [], output: [], classes: [] },
    classes,
    channels,
    outputs: "outChannels" in signature ? signature.outChannels / channels : 1,
  };
}

type Place = readonly [shape: readonly number[], side: Side];

/** How a tensor comes of the one of its name; undefined where it cannot. */
function partOf(name: string, from: Place, to: Place): Part | undefined {
  const [[before, old], [shape, now]] = [from, to];
  const both = (key: keyof DataParameters): boolean => old.data[key].includes(name) && now.data[key].includes(name);
  if (both("classes")) return rowsOfClasses(from, to);
  if (both("image")) return imageKernel(from, to);
  if (both("output")) return outputKernel(from, to);
  if (show(before) !== show(shape)) return undefined;
  return { taken: sizeOf(shape), write: (values, into) => into.set(values) };
}

/** [classes, or one more for "no class", ...]: rows by the names of their classes. */
function rowsOfClasses([before, old]: Place, [shape, now]: Place): Part | undefined {
  if (show(before.slice(1)) !== show(shape.slice(1))) return undefined;
  const width = sizeOf(shape.slice(1));
  const rows = now.classes.map((name) => old.classes.indexOf(name));
  if (before[0]! > old.classes.length && shape[0]! > now.classes.length) rows.push(old.classes.length);
  return {
    taken: width * rows.filter((row) => row >= 0).length,
    write(values, into) {
      for (const [row, from] of rows.entries())
        if (from >= 0) into.set(values.subarray(from * width, (from + 1) * width), row * width);
    },
  };
}

/** [O, channels x pixels of a patch, ...]: the sum over the channels stays what it was. */
function imageKernel([before, old]: Place, [shape, now]: Place): Part | undefined {
  const [outer, ...rest] = before;
  if (outer !== shape[0]) return undefined;
  const inner = sizeOf(rest) / old.channels;
  if (!Number.isInteger(inner) || inner !== sizeOf(shape.slice(1)) / now.channels) return undefined;
  return recoloured({ outer: outer!, inner, from: old.channels, to: now.channels, factor: 1 / now.channels });
}

/** [prediction, and perhaps variance: channels x pixels of a patch, ...]: each channel gives what it gave, the only one their mean. */
function outputKernel([before, old]: Place, [shape, now]: Place): Part | undefined {
  const inner = sizeOf(before) / (old.outputs * old.channels);
  if (!Number.isInteger(inner) || inner !== sizeOf(shape) / (now.outputs * now.channels)) return undefined;
  const outer = Math.min(old.outputs, now.outputs);
  return recoloured({ outer, inner, from: old.channels, to: now.channels, factor: 1 / old.channels });
}

interface Recolouring {
  readonly outer: number;
  readonly inner: number;
  readonly from: number;
  readonly to: number;
  /** By which one channel is multiplied for each of several, or the sum of several for the only one. */
  readonly factor: number;
}

/** [outer, from, inner] as [outer, to, inner]; undefined where neither number of channels is 1 and they differ. */
function recoloured({ outer, inner, from, to, factor }: Recolouring): Part | undefined {
  if (from !== to && from !== 1 && to !== 1) return undefined;
  return {
    taken: outer * to * inner,
    write(values, into) {
      if (from === to) return into.set(values.subarray(0, outer * to * inner));
      for (let o = 0; o < outer; o++)
        for (let i = 0; i < inner; i++) {
          let sum = 0;
          for (let c = 0; c < from; c++) sum += values[(o * from + c) * inner + i]!;
          for (let c = 0; c < to; c++) into[(o * to + c) * inner + i] = factor * sum;
        }
    },
  };
}
