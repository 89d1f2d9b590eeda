/** Characters of a line that people are to read. */
const longestLine = 1000;

/** What terminals obey or what breaks a line: control characters, separators of lines, and marks that turn the direction of text around. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are looked for
const OBEYED = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
const NAMES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

const escaped = (character: string): string => {
  const code = character.charCodeAt(0).toString(16);
  return NAMES[character] ?? (code.length > 2 ? `\\u${code}` : `\\x${code.padStart(2, "0")}`);
};

/**
 * A text as one line of at most `longest` characters. Names of files and classes may hold anything, and a damaged file may name anything: what a
 * terminal would obey, line breaks too, is shown as an escape, and of a longer text the middle is left out.
 */
export function oneLine(text: string, longest = longestLine): string {
  const line = (text.length > 2 * longest ? `${text.slice(0, longest)}${text.slice(-longest)}` : text).replace(
    OBEYED,
    escaped,
  );
  if (line.length <= longest) return line;
  const [start, end] = [Math.ceil((longest * 2) / 3), Math.floor(longest / 3) - 5];
  return `${line.slice(0, start).replace(/[\ud800-\udbff]$/, "")} ... ${line.slice(-end).replace(/^[\udc00-\udfff]/, "")}`;
}

/** The message of an error that others threw, whose lines become parts of one sentence. */
export const messageOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).trim().replace(/\s*\n\s*/g, "; ");
