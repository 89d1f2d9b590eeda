import { describe, expect, test } from "vitest";
import { spaceTimesteps } from "../src/diffusion/respacing.ts";
import { collectBound } from "../src/evaluation/likelihood/bound.ts";
import { type BoundEvent, variationalBound } from "../src/evaluation/likelihood/likelihood.ts";
import { arrayOf, readNpz } from "../src/formats/npz.ts";
import { float32, int32 } from "../src/ndarray.ts";
import "../src/public/node-engine.ts";
import { file, type Noise, referenceModel } from "./support/reference-model.ts";

interface Case extends Noise {
  readonly case: string;
  readonly respacing: string;
  readonly clip_denoised: boolean;
}

const cases: Case[] = JSON.parse(file("trajectories.json").toString());
const arrays = readNpz(file("trajectories.npz"));
const floats = (name: string) => arrayOf(arrays, `bpd/${name}`, "float32");
const given = cases.find((each) => each.case === "bpd")!;

/** Largest difference, relative to the expected value where that is above 1. */
const worst = (actual: ArrayLike<number>, expected: Float32Array): number =>
  expected.reduce((most, value, i) => Math.max(most, Math.abs(actual[i]! - value) / Math.max(1, Math.abs(value))), 0);

describe("the variational bound equals the reference's, noise given", () => {
  // One image at a time too: what an image costs does not depend on the batch.
  test.each([2, 1])("at most %i images at a time", async (batch) => {
    const [x0, noise] = [floats("x0"), floats("noise")];
    const labels = Array.from(arrayOf(arrays, "bpd/y", "int64").data, Number);
    const kept = spaceTimesteps(given.steps, given.respacing);
    const length = kept.length;
    const size = x0.data.length / 2;
    const slice = (data: Float32Array, at: number) => data.slice(at * size, (at + 1) * size);
    const events = variationalBound(
      referenceModel(given),
      {
        count: 2,
        take: (positions) => ({
          x: float32(
            [positions.length, 3, 16, 16],
            Float32Array.from(positions.flatMap((i) => [...slice(x0.data, i)])),
          ),
          y: int32(
            [positions.length],
            positions.map((i) => labels[i]!),
          ),
        }),
      },
      {
        respacing: given.respacing,
        clip: given.clip_denoised,
        batchSize: batch,
        // The reference draws from the noisiest timestep down, for both images at once.
        noise: (position, timestep) => slice(noise.data, (length - 1 - kept.indexOf(timestep)) * 2 + position),
      },
    );

    const ours = {
      vb: new Float32Array(2 * length),
      xstart_mse: new Float32Array(2 * length),
      mse: new Float32Array(2 * length),
      prior_bpd: new Float32Array(2),
    };
    async function* noted(): AsyncGenerator<BoundEvent> {
      for await (const event of events) {
        for (const [i, position] of event.positions.entries()) {
          const at = position * length + (length - 1 - event.index);
          ours.vb[at] = event.vb[i]!;
          ours.xstart_mse[at] = event.xstartMse[i]!;
          ours.mse[at] = event.mse[i]!;
          ours.prior_bpd[position] = event.prior[i]!;
        }
        yield event;
      }
    }
    const bound = await collectBound(noted());

    for (const name of ["vb", "xstart_mse", "mse"] as const)
      expect(worst(ours[name], floats(name).data), name).toBeLessThan(1e-4);
    expect(worst(ours.prior_bpd, floats("prior_bpd").data)).toBeLessThan(1e-6);
    expect(worst(bound.perImage, floats("total_bpd").data)).toBeLessThan(1e-4);
    const [a, b] = floats("total_bpd").data;
    expect(bound.total).toBeCloseTo((a! + b!) / 2, 2);
    expect(bound.terms.map(({ timestep }) => timestep)).toEqual(kept);
    const decoder = floats("vb").data;
    expect(bound.terms[0]!.vb).toBeCloseTo((decoder[length - 1]! + decoder[2 * length - 1]!) / 2, 2);
  });
});
