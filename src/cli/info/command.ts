import { define, type ValuesOf } from "../terminal/command.ts";
import { toggle } from "../terminal/option.ts";

const options = { json: toggle("print JSON") };
export const info = define({
  name: "info",
  argument: {
    name: "model|picture.png",
    help: "bundled model, model folder, or a picture that guidestar drew",
    fallback: "digits",
  },
  summary: "say what a model is, or how a picture was drawn",
  examples: [
    "guidestar info                    # the bundled digits",
    "guidestar info runs/photos",
    "guidestar info grid.png           # model, classes, seeds, guidance",
  ],
  options,
});
export type InfoValues = ValuesOf<typeof info>;
