import { join } from "node:path";
import type { Dataset } from "../../data/dataset.ts";
import { writeFiles } from "../../files/atomic.ts";
import { toUint8 } from "../../images/planes.ts";
import type { NDArray } from "../../ndarray.ts";
import { type CopySearch, comparingDetector, countCopies, openCopySearch, pairsPng } from "../evaluate/copies.ts";
import type { Surroundings } from "../evaluate/sources.ts";

/** Looks at the samples of a training run for copies of its images. */
export interface CopyWatch extends AsyncDisposable {
  /** Says how many of these samples [N, C, H, W] are copies, and writes `pairs.png`. Are they so many that training copies? */
  look(images: NDArray<"float32">): Promise<boolean>;
}

/**
 * A watch on a data set, if there is one; the images are seen when it first looks, by their pixels and by the detector of this name. Throws as
 * `comparingDetector` does.
 */
export async function copyWatch(
  dataset: Pick<Dataset, "train" | "test"> | undefined,
  detectorName: string | undefined,
  out: string,
  around: Surroundings,
): Promise<CopyWatch> {
  const { shown } = around;
  const detector = dataset && (await comparingDetector(detectorName, dataset.train.shape, around));
  let opened: Promise<CopySearch | undefined> | undefined;
  let warned = false;
  return {
    async look(images) {
      if (!dataset) return false;
      opened ??= openCopySearch(dataset.train, dataset.test, detector ? [detector] : [], around);
      const search = await opened;
      if (!search) return false;
      const reports = await search.look(images);
      const worst = reports.reduce((a, b) => (b.share > a.share ? b : a));
      const [path, pictures] = [join(out, "pairs.png"), toUint8(images)];
      await writeFiles([[path, pairsPng(worst, (numbers) => numbers.map((i) => pictures[i]!), search)]]);
      shown.say(`copies of training images: ${countCopies(reports)} (${path})`);
      const copying = reports.some((report) => report.copying);
      if (copying && !warned)
        shown.say(
          "warning: the network copies what it is trained on: so many samples as near to a training image are no chance. More images are better; " +
            "--flip and --crop make more of those that there are, a smaller --preset and fewer steps copy less, and --stop-when-copying ends the run here",
        );
      warned ||= copying;
      return copying;
    },
    async [Symbol.asyncDispose]() {
      await (await opened?.catch(() => undefined))?.[Symbol.asyncDispose]();
      await detector?.[Symbol.asyncDispose]();
    },
  };
}
