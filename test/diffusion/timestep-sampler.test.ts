import { expect, test } from "vitest";
import { timestepSampler } from "../../src/diffusion/timestep-sampler.ts";
import { uniforms } from "../../src/random.ts";

test("uniform: every index as often, all weights 1", () => {
  const { indices, weights } = timestepSampler("uniform", 4).sample([0, 0.24, 0.26, 0.5, 0.99]);
  expect(indices).toEqual([0, 0, 1, 2, 3]);
  expect([...weights]).toEqual([1, 1, 1, 1, 1]);
});

test("weights undo the preference: the weighted mean of a loss is its mean over the chain", () => {
  const losses = [0.1, 0.2, 3, 1, 0.5];
  const sampler = timestepSampler("loss-second-moment", 5);
  for (let round = 0; round < 10; round++) sampler.update([0, 1, 2, 3, 4], losses);
  const { indices, weights } = sampler.sample(uniforms(1, 0, 20000));
  const mean = indices.reduce((sum, index, n) => sum + losses[index]! * weights[n]!, 0) / indices.length;
  expect(mean).toBeCloseTo(0.96, 2);
  expect(indices.filter((i) => i === 2).length / indices.length).toBeCloseTo(3 / 4.8, 1);
});

test("it goes on from its state, through JSON, as if never stopped", () => {
  const one = timestepSampler("loss-second-moment", 3);
  const learn = (sampler: typeof one, from: number): void => {
    for (let i = from; i < from + 25; i++) sampler.update([i % 3], [Math.sin(i) ** 2 / 3]);
  };
  learn(one, 0);
  const two = timestepSampler("loss-second-moment", 3, JSON.parse(JSON.stringify(one.state())));
  for (const sampler of [one, two]) learn(sampler, 25);
  expect(two.probabilities()).toEqual(one.probabilities());
  expect(new Set(one.probabilities()).size).toBe(3);
});

test("a state of another chain is refused", () => {
  const state = timestepSampler("loss-second-moment", 3).state();
  expect(() => timestepSampler("loss-second-moment", 4, state)).toThrow(/state of 4 indices but 3 came/);
  expect(() => timestepSampler("uniform", 3, state)).toThrow(/state of 0 indices but 3 came/);
});
