/** What a progress line says: `state` is the count, the rate and the time left, which are always to be seen. */
export interface BarParts {
  readonly label: string;
  /** Done, in [0, 1]. */
  readonly fraction: number;
  readonly state: string;
  readonly note: string;
}

/** Characters of a bar where there is room for all of it. */
const fullBar = 24;

/**
 * The progress line of a terminal of `columns` characters: the bar takes what the words leave to it. Where they need
 * all, the note is cut first, and then the label.
 */
export function barLine({ label, fraction, state, note }: BarParts, columns: number): string {
  // Clearing what is right of a full line takes its last character.
  const width = columns - 1;
  const words = `${state}${note && `, ${note}`}`;
  const size = Math.min(fullBar, width - `${label}  ${words}`.length);
  if (size > 0) {
    const full = Math.round(fraction * size);
    return `${label} ${"█".repeat(full)}${"░".repeat(size - full)} ${words}`;
  }
  const start = `${cut(label, width - ` ${state}`.length)} ${state}`;
  const rest = cut(note, width - `${start}, `.length);
  return rest ? `${start}, ${rest}` : start;
}

function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  return length < 1 ? "" : `${text.slice(0, length - 1)}…`;
}
