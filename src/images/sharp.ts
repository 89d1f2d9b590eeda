export type { Sharp } from "sharp";

/** sharp, loaded where first needed: it costs a good part of the command line's start-up time. No other file imports it. */
export const loadSharp = async () => (await import("sharp")).default;
