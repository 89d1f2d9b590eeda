const JUNK = [
  /^\./, // hidden: .git, .DS_Store, ._1.png, .ipynb_checkpoints
  /^__(MACOSX|pycache__)$/i,
  /^@(eaDir|Recycle|tmp|__thumb)$/i, // NAS
  /^#(recycle|snapshot)$/i,
  /^(\$RECYCLE\.BIN|System Volume Information|RECYCLER|lost\+found)$/i,
  /^(ehthumbs(_vista)?|Thumbs)\.db$/i,
  /^desktop\.ini$/i,
  /^Icon\r$/,
];

/** Whether a path is of something that systems leave in folders, or is inside of it: no picture, and no class. */
export const isJunk = (path: string): boolean => path.split("/").some((name) => JUNK.some((kind) => kind.test(name)));
