import type { Model } from "../../src/checkpoint/model.ts";
import type { MetricName } from "../../src/cli/sweep/folder.ts";
import type { Dataset } from "../../src/data/dataset.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import type { SampleOptions } from "../../src/sampling/sample.ts";
import type { ClaimOptions } from "./options.ts";

/** Pictures that are measured together: a point of a line. */
export interface Cell {
  readonly series: string;
  /** Its place on the line. */
  readonly x: number;
  /** The model that draws them; of a claim on trainings, that of this seed. */
  readonly model: (seed: number) => Promise<Model>;
  readonly settings: Pick<SampleOptions, "sampler" | "guidance">;
  /** Measures beside those of the pictures, as `bits`. */
  readonly more?: (model: Model, seed: number) => Promise<Readonly<Record<string, number>>>;
}

/** Of two cells the second has more, or less, of a measure. */
export interface Statement {
  readonly text: string;
  readonly measure: string;
  readonly from: Pick<Cell, "series" | "x">;
  readonly to: Pick<Cell, "series" | "x">;
  readonly goes: "up" | "down";
}

/** What cells are made of. */
export interface Setup {
  readonly options: ClaimOptions;
  readonly model: Model;
  /** Undefined where no --data is given. */
  readonly dataset: Dataset | undefined;
  readonly backend: Backend;
}

/** A claim of the literature, and how it is looked at. */
export interface Claim {
  readonly about: string;
  readonly xLabel: string;
  /** What is drawn, a panel each. */
  readonly measures: readonly (MetricName | (string & {}))[];
  cells(setup: Setup): readonly Cell[] | Promise<readonly Cell[]>;
  statements(cells: readonly Cell[]): readonly Statement[];
}
