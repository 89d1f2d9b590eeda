/** Every text of the page, so that they can be read, and translated, in one place. */
export const texts = {
  where: (device: string, threads: number) =>
    device === "cpu"
      ? `on this machine, ${threads} ${threads === 1 ? "thread" : "threads"}`
      : "on this machine's graphics card",
  facts: ({
    width,
    height,
    classes,
    parameters,
  }: {
    width: number;
    height: number;
    classes: number;
    parameters: number;
  }) =>
    `${width}x${height}${classes > 0 ? `, ${classes} ${classes === 1 ? "class" : "classes"}` : ""}, ${short(parameters)} parameters`,

  classes: "class",
  all: "all",
  allHelp: "Draws every class in turn",
  classesHelp: "What the pictures show. Several are drawn in turn.",
  guidance: "guidance",
  guidanceHelp: "What leads the pictures towards their class.",
  kinds: {
    none: "none",
    "classifier-free": "classifier-free",
    classifier: "classifier",
    both: "both",
  },
  scale: "scale",
  scaleHelp: "Higher: more typical of the class, and less varied.",
  scaleOf: { "classifier-free": "scale, classifier-free", classifier: "scale, classifier" },
  seed: "seed",
  seedHelp: "The same seed and settings give the same picture.",
  lock: "keep",
  lockHelp: "Keep the seed when drawing again",
  dice: "new seed",
  count: "count",
  countHelp: "Pictures at once; each has a seed of its own.",
  sampler: "sampler",
  samplerHelp: "How noise becomes a picture.",
  steps: "steps",
  stepsHelp: "More: finer, and slower.",
  also: "also",
  without: (name: string) => `without ${name}`,

  draw: "Draw",
  cancel: "Stop",
  escape: "Esc stops",
  preparing: "preparing",
  step: (step: number, steps: number) => `step ${step}/${steps}`,
  cancelled: "stopped",
  drawn: (seconds: number) => `${seconds.toFixed(1)} s`,
  picture: (name: string | undefined, seed: number) => (name === undefined ? `seed ${seed}` : `${name}, seed ${seed}`),
  drawnAloud: (count: number, names: string) => `${count} ${count === 1 ? "picture" : "pictures"} drawn: ${names}`,
  loading: (loaded: number, total: number | undefined) =>
    total === undefined
      ? `loading the model: ${megabytes(loaded)} MB`
      : `loading the model: ${megabytes(loaded)} of ${megabytes(total)} MB`,
  asking: "loading the model",
  starting: "starting the engine",
  before: "nine pictures that this model drew before",
  stage: "pictures",
  controls: "settings",

  history: "history",
  historyEmpty: "What you draw is kept here until the page is closed.",
  savePng: "Save PNG",
  saveGif: "Save GIF",
  copyCommand: "Copy command",
  copyCode: "Copy code",
  copyLink: "Copy link",
  open: "Open picture",
  copied: { command: "command copied", code: "code copied", link: "link copied" },
  saved: (name: string) => `${name} saved`,
  gifBusy: "making the GIF",
  notCopied: "The browser did not allow copying; here it is to be copied by hand:",
  drop: "Drop a PNG that guidestar saved, to have its settings",
  restored: (name: string) => `settings of ${name}`,
  otherModel: (name: string) =>
    `These settings are of the model ${name}, whose weights are others than those of this page: the pictures will differ.`,

  close: "close",
  failed: "This did not work",
  again: "Try again",
  advice: {
    model:
      "The page needs the whole folder that `guidestar page` wrote, from one version. Write it again, and upload all of it; a model of another origin must allow this page to read it (CORS).",
    usage: "Change what the message names, and draw again.",
    data: "Take a PNG that guidestar saved, unchanged by other programs.",
    runtime: "Load the page again. If it happens again, take fewer pictures at once, or another browser.",
  } as Readonly<Record<string, string>>,
  made: "Made with Guidestar. Pictures are computed in this tab; nothing leaves it.",
};

const short = (n: number): string =>
  n >= 1e6 ? `${(n / 1e6).toFixed(1)} million` : n >= 1e3 ? `${Math.round(n / 1e3)} thousand` : String(n);
const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
