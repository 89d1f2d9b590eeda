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
  let sampler = timestepSampler("loss-second-moment", 5);
  for (let round = 0; round < 10; round++) sampler = sampler.after([0, 1, 2, 3, 4], losses);
  const { indices, weights } = sampler.sample(uniforms(1, 0, 20000));
  const mean = indices.reduce((sum, index, n) => sum + losses[index]! * weights[n]!, 0) / indices.length;
  expect(mean).toBeCloseTo(0.96, 2);
  expect(indices.filter((i) => i === 2).length / indices.length).toBeCloseTo(3 / 4.8, 1);
});

test("it goes on from its state, through JSON, as if never stopped", () => {
  const fresh = timestepSampler("loss-second-moment", 3);
  const learn = (sampler: typeof fresh, from: number): typeof fresh => {
    let learnt = sampler;
    for (let i = from; i < from + 25; i++) learnt = learnt.after([i % 3], [Math.sin(i) ** 2 / 3]);
    return learnt;
  };
  const half = learn(fresh, 0);
  const stored = timestepSampler("loss-second-moment", 3, JSON.parse(JSON.stringify(half.state)));
  const [one, two] = [learn(half, 25), learn(stored, 25)];
  expect(two.probabilities()).toEqual(one.probabilities());
  expect(new Set(one.probabilities()).size).toBe(3);
  expect(fresh.state).toEqual([[], [], []]);
});

test("a state of another chain is refused", () => {
  const state = timestepSampler("loss-second-moment", 3).state;
  expect(() => timestepSampler("loss-second-moment", 4, state)).toThrow(/state of 4 indices but 3 came/);
  expect(() => timestepSampler("uniform", 3, state)).toThrow(/state of 0 indices but 3 came/);
});
