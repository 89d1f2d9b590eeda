import { background } from "../../background.ts";
import { labelSources } from "../../data/labels/sources.ts";
import { valueRanges } from "../../value-range.ts";
import { choice, ofSetting, text, type Values } from "./option.ts";

/** How images are read and their labels found, for every command that opens labelled images. */
export const labelOptions = {
  labels: choice(labelSources, "from-name: of files as dog_0001.png; none: the images alone", {
    otherwise: "dataset.json, metadata.csv, metadata.jsonl or labels.csv, else folders",
  }),
  labelColumn: text("name", "column of metadata.csv, metadata.jsonl, labels.csv or parquet that is the label", {
    otherwise: "label, or the only one that seems to be",
  }),
  range: choice(valueRanges, "what numbers other than bytes stand for, in npz and TIFF files", {
    otherwise: "seen from the values, and said",
  }),
  background: ofSetting(background, { otherwise: "as in the model's training, else white" }),
};

/** The same of a command's values, for `openDataset`. */
export const labelValues = ({
  labels,
  labelColumn,
  range,
  background,
}: Pick<Values<typeof labelOptions>, keyof typeof labelOptions>) => ({ labels, labelColumn, range, background });
