/*
 * Line charts as SVG: one or more panels above each other. Their y axes are logarithmic, linear, or of shares; the x axis is linear, common
 * to all panels or a panel's own.
 */

/** A line of a chart. */
export interface Line {
  /** Name in the legend. */
  readonly label: string;
  /** A CSS colour. */
  readonly color: string;
  /** Points in the order of the line; those with y <= 0 have no place on a logarithmic axis and leave a gap. */
  readonly points: readonly (readonly [x: number, y: number])[];
  /** How far each point may be off, to both sides: drawn as bars. 0, or what is no number, draws none. */
  readonly errors?: readonly (readonly [x: number, y: number])[];
  /** What stands beside each point. */
  readonly names?: readonly string[];
}

/** A value that is the same for all x: a dashed line across the panel, in a band as wide as its error. */
export interface Level {
  readonly label: string;
  readonly y: number;
  readonly error?: number;
}

/** One pair of axes and its lines. */
export interface Panel {
  /** Name and unit of the y axis. */
  readonly label: string;
  /** Default "log". "share" is for values from 0 to 1: by log(y / (1 - y)), so that 99% and 99.9% are as far apart as 90% and 99%. */
  readonly scale?: "log" | "linear" | "share";
  /** Name of an x axis of its own; the chart's common one where not given. */
  readonly xLabel?: string;
  readonly lines: readonly Line[];
  /** Values to compare the lines with. */
  readonly levels?: readonly Level[];
}

/** What `chartSvg` draws: panels above each other. */
export interface Chart {
  readonly title: string;
  readonly subtitle?: string;
  /** Name of the common x axis. */
  readonly xLabel?: string;
  readonly panels: readonly Panel[];
  /** Names the lines once, above all panels, where each panel has the same ones. */
  readonly legend?: readonly Pick<Line, "label" | "color">[];
}
