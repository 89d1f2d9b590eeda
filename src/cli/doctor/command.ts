import { define, type ValuesOf } from "../terminal/command.ts";
import { toggle } from "../terminal/option.ts";

const options = { json: toggle("print JSON") };
export const doctor = define({
  name: "doctor",
  summary: "see whether everything that guidestar needs works here, and what to do where it does not",
  examples: ["guidestar doctor"],
  options,
});
export type DoctorValues = ValuesOf<typeof doctor>;
