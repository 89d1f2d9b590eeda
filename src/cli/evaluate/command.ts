import { define, type ValuesOf } from "../terminal/command.ts";
import { labelOptions } from "../terminal/label-options.ts";
import { choice, text, toggle, whole } from "../terminal/option.ts";

const options = {
  reference: text("path", "real images (as for SAMPLES), or an npz of features, or of statistics (mu, sigma)", {
    otherwise: "what the detector saw in the images that it was made from",
  }),
  detector: text(
    "name|path",
    "what sees features in images: a folder of train detector, a model that carries one, or an ONNX file with its declaration beside it",
    { otherwise: "digits, the bundled one" },
  ),
  split: choice(["train", "test"], "which images of the reference, where it has both", { fallback: "train" }),
  ...labelOptions,
  size: whole("side that images are resized and cropped to", { otherwise: "images as they are" }),
  referenceFeatures: text("file.npz", "features of the reference: the first array, rows are images"),
  sampleFeatures: text("file.npz", "features of the samples, in place of SAMPLES"),
  probabilities: text("file.npz", "class probabilities of the samples: the first array, rows are images"),
  k: whole("neighbours of precision and recall", { fallback: 3 }),
  classifier: text("name|folder", "measure the noisy classifier of this model on SAMPLES, by timestep"),
  training: text("path", "measure how many of SAMPLES are copies of these, the images that their model was trained on"),
  pairs: text("file.png", "with --training: samples, each beside its nearest training image"),
  saveFeatures: text("file.npz", "keep the features of the samples"),
  saveStatistics: text("file.npz", "keep mean and covariance of the samples' features: mu, sigma, mu_s, sigma_s"),
  csv: text("file.csv", "with --classifier: the accuracy by timestep"),
  plot: text("file.svg", "with --classifier: the same as a picture"),
  seed: whole("seed of the resamples behind the errors", { fallback: 0, least: 0, most: 2 ** 52 }),
  json: toggle("print everything as JSON"),
  device: choice(["cpu", "webgpu"], "where the detector runs", { fallback: "cpu" }),
  threads: whole("threads of the CPU", { otherwise: "one per core" }),
};
export const evaluate = define({
  name: "evaluate",
  argument: {
    name: "samples",
    help: "images: a folder, zip or tar of images or of CLASS/image, WebDataset, parquet or Arrow of the hub, an npz, MNIST IDX or CIFAR-10 files",
    fallback: "",
  },
  summary: "measure samples: Frechet distance, precision, recall, kernel distance, inception score, accuracy",
  examples: [
    "guidestar evaluate samples.npz --reference mnist.zip            # digits, by the bundled detector",
    "guidestar evaluate samples.npz --detector runs/photos           # others, by one that `train detector` made",
    "guidestar evaluate samples --reference photos --detector inception.onnx --save-features samples-features.npz",
    "guidestar evaluate photos --detector inception.onnx --save-statistics photos-statistics.npz",
    "guidestar evaluate --reference-features real.npz --sample-features drawn.npz --probabilities p.npz --json",
    "guidestar evaluate samples.npz --training photos.zip --pairs pairs.png   # does the model copy?",
    "guidestar evaluate mnist.zip --classifier digits --csv accuracy.csv --plot accuracy.svg",
  ],
  options,
  notes:
    "Every number comes with its error over resamples of the images. Frechet distances of few images are biased upwards, which is said. Beside them " +
    "stands what as many real images get, where there are enough of them.\n" +
    'Beside an ONNX detector NAME.onnx lies NAME.json, for example { "input": "x", "size": 299, "range": [-1, 1], "features": "pool", ' +
    '"logits": "logits" }; also resize, channels, mean, std, layout, spatial, probabilities, classes, batchSize (docs/tour.md).',
});
export type EvaluateValues = ValuesOf<typeof evaluate>;
