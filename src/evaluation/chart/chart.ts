/*
 * Line charts as SVG: one or more panels above each other. Their y axes are logarithmic or linear; the x axis is linear, common to all
 * panels or a panel's own.
 */

/** A line of a chart. */
export interface Line {
  /** Name in the legend. */
  readonly label: string;
  /** A CSS colour. */
  readonly color: string;
  /** Points in the order of the line; those with y <= 0 have no place on a logarithmic axis and leave a gap. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** One pair of axes and its lines. */
export interface Panel {
  /** Name and unit of the y axis. */
  readonly label: string;
  /** Default "log". */
  readonly scale?: "log" | "linear";
  /** Name of an x axis of its own; the chart's common one where not given. */
  readonly xLabel?: string;
  readonly lines: readonly Line[];
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
