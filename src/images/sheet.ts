/**
 * How pictures of a run are laid out: whole turns through the classes, as nearly square as that goes, each of about 96 pixels as long as the
 * sheet stays on a screen.
 *
 * @param labels of the pictures
 * @param width of a picture, in pixels
 */
export function sheetLayout(labels: readonly number[], width: number): { columns: number; scale: number } {
  const classes = new Set(labels).size;
  const side = Math.ceil(Math.sqrt(labels.length));
  const columns = classes > 20 ? side : Math.min(labels.length, classes * Math.max(1, Math.round(side / classes)));
  return { columns, scale: Math.max(1, Math.floor(Math.min(96, 2400 / columns) / width)) };
}
