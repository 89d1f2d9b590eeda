import { expect, test } from "vitest";
import { UsageError } from "../../src/errors.ts";
import { denoiserNetwork, denoiserSignature, familyOf } from "../../src/models/families.ts";
import { planTransfer } from "../../src/models/transfer.ts";
import { parameterShapes } from "../../src/nn/module.ts";
import { f32, i32, input } from "../../src/tensor/trace.ts";
import { leaves, type Numbers, numbers, someParameters } from "../nn/numbers.ts";
import { evaluate } from "../support/interpreter.ts";

/*
 * Students of both families: what a student's network computes is the teacher's prediction, for as long as the embedding of the scale is zero.
 */

const image = { imageSize: 4, inChannels: 1, outChannels: 2, numClasses: 3, nullLabel: true };
const teachers = [
  {
    kind: "adm-unet",
    config: {
      ...image,
      modelChannels: 8,
      numResBlocks: 1,
      attentionResolutions: [],
      channelMult: [1, 2],
      normGroups: 4,
    },
  },
  { kind: "pixel-transformer", config: { ...image, patchSize: 2, hiddenSize: 8, depth: 1, numHeads: 1 } },
];
const classes = ["a", "b", "c"];
const x = numbers([2, 1, 4, 4]);
const given = { x, t: { shape: [2], data: [3, 500] }, y: { shape: [2], data: [2, 0] } };

test.each(teachers)(
  "$kind: begins as its teacher, and follows the scale when its embedding does not vanish",
  (teacher) => {
    const config = familyOf("denoiser", teacher.kind).student!(teacher.config, { maxCfgScale: 3 });
    const student = { kind: teacher.kind, config };
    expect(denoiserSignature(student)).toEqual({
      imageShape: [1, 4, 4],
      outChannels: 1,
      classes: 3,
      nullLabel: undefined,
      maxCfgScale: 3,
    });
    const networks = [denoiserNetwork(teacher), denoiserNetwork(student)] as const;
    const [old, fresh] = networks.map((network) => someParameters(network)) as [Named, Named];
    const zero = ({ shape, data }: Numbers): Numbers => ({ shape, data: Array.from(data, () => 0) });
    const isNew = (key: string) => key.startsWith("cfg_embed");
    const initial = Object.fromEntries(
      Object.entries(fresh).map(([key, value]) => [key, isNew(key) ? zero(value) : value]),
    );
    const asArrays = (tensors: Named) =>
      Object.fromEntries(
        Object.entries(tensors).map(([key, { shape, data }]) => [
          key,
          { dtype: "float32" as const, shape, data: Float32Array.from(data) },
        ]),
      );
    const plan = planTransfer("denoiser", { network: teacher, classes }, { network: student, classes });
    const taken = plan.weights(asArrays(old), asArrays(initial)) as unknown as Named;
    expect(Object.keys(taken)).toEqual(Object.keys(parameterShapes(networks[1])));

    const outputOf = (which: 0 | 1, parameters: Named, scale?: number): number[] => {
      const told = { label: input("y", i32(2)), guidanceScale: input("w", f32(2)) };
      const out = networks[which](leaves(parameters), input("x", f32(2, 1, 4, 4)), input("t", f32(2)), told);
      const values = { ...parameters, ...given, w: { shape: [2], data: [scale ?? 1, scale ?? 1] } };
      return Array.from(evaluate({ out }, values).out.data);
    };
    const theirs = outputOf(0, old);
    const prediction = [...theirs.slice(0, 16), ...theirs.slice(32, 48)];
    for (const [i, value] of outputOf(1, taken, 2).entries()) {
      // Weights that were taken over are float32.
      expect(Math.abs(value - prediction[i]!)).toBeLessThan(1e-4 * Math.max(1, Math.abs(value)));
    }

    const [weak, strong] = [1, 3].map((scale) => outputOf(1, { ...taken, ...onlyNew(fresh, isNew) }, scale));
    expect(weak!.some((value, i) => Math.abs(value - strong![i]!) > 1e-6)).toBe(true);
    expect(() =>
      networks[1](leaves(taken), input("x", f32(2, 1, 4, 4)), input("t", f32(2)), { label: input("y", i32(2)) }),
    ).toThrow(UsageError);
  },
);

type Named = Record<string, Numbers>;
const onlyNew = (tensors: Named, isNew: (key: string) => boolean): Named =>
  Object.fromEntries(Object.entries(tensors).filter(([key]) => isNew(key)));
