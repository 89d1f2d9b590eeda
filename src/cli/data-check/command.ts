import { define, type ValuesOf } from "../terminal/command.ts";
import { labelOptions } from "../terminal/label-options.ts";
import { toggle, whole } from "../terminal/option.ts";

const options = {
  size: whole("side that images are resized and cropped to, as in training", { otherwise: "images as they are" }),
  ...labelOptions,
  strict: toggle("a file that cannot be read is an error"),
  json: toggle("print JSON"),
};
export const dataCheck = define({
  name: "data check",
  argument: {
    name: "path",
    help: "folder, zip or tar of CLASS/image, WebDataset, parquet or Arrow of the hub, an npz, MNIST IDX or CIFAR-10 files",
  },
  summary: "count the images of each class, and list what cannot be read",
  examples: ["guidestar data check photos.zip", "guidestar data check photos --size 32 --strict"],
  options,
  notes:
    "Labels are read from dataset.json (EDM, StyleGAN), metadata.csv, metadata.jsonl, labels.csv or val_annotations.txt where there is one, " +
    "else from folders; --labels from-name reads them in names of files. Folders train/, test/, val/ and the like are splits, above or below " +
    "the classes: test/, or else val/, is held out. A class of which no image can be read is left out.",
});
export type DataCheckValues = ValuesOf<typeof dataCheck>;
