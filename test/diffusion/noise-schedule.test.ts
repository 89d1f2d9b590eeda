import { describe, expect, test } from "vitest";
import { coefficients, noiseSchedule } from "../../src/diffusion/noise-schedule.ts";
import { ddpmProcess } from "../../src/diffusion/process-config.ts";
import { spaceTimesteps } from "../../src/diffusion/respacing.ts";
import { betas } from "../../src/diffusion/schedule.ts";
import { UsageError } from "../../src/errors.ts";

const config = ddpmProcess({ variance: "learned-range" });

describe("schedules", () => {
  test("the cosine schedule's alpha bar is the function it came from", () => {
    const { alpha } = noiseSchedule(config).tables;
    const f = (t: number) => Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2;
    for (const i of [0, 100, 500, 900, 990]) expect(alpha[i]! ** 2).toBeCloseTo(f((i + 1) / 1000) / f(0), 12);
  });
  test("lengths that cannot be", () => {
    expect(() => betas("cosine", 0)).toThrow(/positive integer but is 0/);
    expect(() => betas("linear", 20)).toThrow(/"linear" needs more than 20 steps but 20/);
  });
});

describe("respacing", () => {
  test.each([
    [1000, "ddim60", /use ddim63 or ddim59, or "60" for uneven strides$/],
    [1000, "ddim0", /expected "250".* but got "ddim0"/],
    [1000, "ddim2000", /use ddim1000$/],
    [1000, "ddim1", /use ddim2, or/],
    [100, "10,60", /section of 50 steps cannot give 60; ask for at most 50/],
    [100, "ten", /expected "250", "10,10,20" or "ddim25" but got "ten"/],
    [100, "0", /but got "0"/],
    [100, "", /but got ""/],
  ])("%s steps as %s is refused", (steps, spec, message) => {
    expect(() => spaceTimesteps(steps, spec)).toThrow(UsageError);
    expect(() => spaceTimesteps(steps, spec)).toThrow(message);
  });
  test("every count that the message offers can be had", () => {
    for (let count = 0; count <= 120; count++) {
      try {
        expect(spaceTimesteps(100, `ddim${count}`)).toHaveLength(count);
      } catch (error) {
        for (const [spec, n] of String(error).matchAll(/(?<=use .*)(?:ddim)?(\d+)/g))
          expect(spaceTimesteps(100, spec)).toHaveLength(Number(n));
      }
    }
  });
  test("a respaced chain has the noise of the timesteps it keeps", () => {
    const [whole, short] = [noiseSchedule(config), noiseSchedule(config, "10,20,5")];
    expect(short.timesteps).toHaveLength(35);
    for (const [i, t] of short.timesteps.entries()) {
      expect(short.tables.alpha[i]).toBeCloseTo(whole.tables.alpha[t]!, 12);
      expect(short.tables.sigma[i]).toBeCloseTo(whole.tables.sigma[t]!, 12);
    }
  });
  test("a chain of one step is finite", () => {
    for (const table of Object.values(noiseSchedule(config, "1").tables)) expect(Number.isFinite(table[0])).toBe(true);
  });
});

describe("coefficients", () => {
  test("timesteps are the original chain's, scaled to 1000 where asked; before the first comes 0", () => {
    const chain = noiseSchedule({ ...config, steps: 4000, rescaleTimesteps: true }, "ddim100");
    const { timestep, timestepPrevious, noisy } = coefficients(chain, [0, 1, 99]);
    expect([...timestep.data]).toEqual([0, 10, 990]);
    expect([...timestepPrevious.data]).toEqual([0, 0, 980]);
    expect([...noisy.data]).toEqual([0, 1, 1]);
  });
  test("DDIM at eta 1 has the variance of the DDPM posterior, and its mean", () => {
    const chain = noiseSchedule(config, "50");
    const indices = [0, 1, 20, 49];
    const { ddimDirection, ddimDeviation } = coefficients(chain, indices, { eta: 1 });
    for (const [n, i] of indices.entries()) {
      const { posteriorVariance, posteriorX0, posteriorXt, alpha, sigma, alphaPrevious } = chain.tables;
      expect(ddimDeviation.data[n]! ** 2).toBeCloseTo(posteriorVariance[i]!, 6);
      // alphaPrevious x0 + direction eps, with eps = (x_t - alpha x0) / sigma.
      expect(ddimDirection.data[n]! / sigma[i]!).toBeCloseTo(posteriorXt[i]!, 6);
      const x0 = alphaPrevious[i]! - (ddimDirection.data[n]! * alpha[i]!) / sigma[i]!;
      expect(x0).toBeCloseTo(posteriorX0[i]!, 6);
    }
  });
  test("what cannot be asked for", () => {
    const chain = noiseSchedule(config, "50");
    expect(() => coefficients(chain, [3, 50])).toThrow(/index 50 is outside the chain of 50 steps/);
    expect(() => coefficients(chain, [0], { eta: 1.5 })).toThrow(/between 0 .* and 1 .* but is 1.5/);
  });
});
