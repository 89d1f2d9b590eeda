import { define, type ValuesOf } from "../terminal/command.ts";
import { choice, text, toggle, whole } from "../terminal/option.ts";

const options = {
  out: text("folder", "the site: page, engine and model, some 18 MB beside the weights", { required: true }),
  title: text("text", "heading of the page", { otherwise: "the model's name" }),
  storage: choice(["float32", "float16"], "how the weights are stored; float16 halves them", { fallback: "float16" }),
  serve: toggle("serve the folder on this machine until Ctrl-C"),
  port: whole("where --serve listens; 0 is any that is free", { fallback: 8080, least: 0, most: 65_535 }),
};
export const page = define({
  name: "page",
  argument: { name: "model", help: "bundled model, or model folder", fallback: "digits" },
  summary: "write a web page that draws from a model, for any static host",
  examples: [
    "guidestar page digits --out site --serve",
    'guidestar page runs/photos --out site --title "Cats and dogs"   # then upload the folder',
  ],
  options,
  notes:
    "The page computes in the visitor's browser and sends nothing anywhere. All addresses in it are relative, so the folder may lie anywhere on a host. " +
    "Threads need a page that is isolated; a service worker of the page sees to that, where it comes by https or from localhost, and keeps it for when there is no network.",
});
export type PageValues = ValuesOf<typeof page>;
