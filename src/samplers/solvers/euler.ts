import { linearSolver } from "../linear.ts";
import { defineSampler } from "../sampler.ts";
import { churn, eulerSteps } from "./churn.ts";

/** Euler's method: one evaluation for each step, of first order. Without churn it is DDIM. */
export const euler = defineSampler({
  kind: "euler",
  note: "Euler's method for the flow; churn makes it random",
  settings: { churn },
  steps: 50,
  levels: "karras",
  solver: (schedule, { churn }) =>
    linearSolver(
      eulerSteps(schedule, churn)
        .map(({ evaluation }) => [evaluation])
        .reverse(),
    ),
});
