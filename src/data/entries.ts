/** A file that is left out, and why. */
export interface Skipped {
  /** The file. */
  readonly path: string;
  /** Why, as a few words. */
  readonly reason: string;
}

/** One file of a folder or archive that is not hidden; `path` is relative, with `/`, and its names are composed (NFC). */
export interface Entry {
  readonly path: string;
  /** The file on the disk, where it is one by itself: a large one need not be read whole. */
  readonly file?: string;
  /** What its container says of its class, and where; the class is undefined where it says none. */
  readonly told?: { readonly className: string | undefined; readonly says: string };
  read(): Promise<Uint8Array>;
}

/** What a source has. */
export interface Listing {
  /** Every file, in any order. */
  readonly entries: readonly Entry[];
  /** Those of an archive that are refused, and why. */
  readonly skipped: readonly Skipped[];
  /** What there is to know of how names were read: a line each. */
  readonly notes: readonly string[];
}

/** What a listing needs to know. */
export interface ListOptions {
  /** Column of a table that is the label. */
  readonly labelColumn?: string | undefined;
}

/** What is closed together. */
export interface Opened {
  add(one: { close(): void }): void;
}
