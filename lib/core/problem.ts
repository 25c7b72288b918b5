/**
 * A mistake of the person at the terminal, or a fault of their machine, that
 * one sentence explains: what, where, what was expected, what to do. The
 * command line prints the sentence alone and leaves with `exitCode`; any other
 * error is a defect and keeps its stack.
 */
export class Problem extends Error {
  override readonly name = "Problem";
  /** 2: bad input; 70: the run itself failed (NaN); 73: locked; 74: disk or file; 75: stopped, resumable. */
  readonly exitCode: number;

  constructor(message: string, options: ErrorOptions & { exitCode?: number } = {}) {
    super(message, options);
    this.exitCode = options.exitCode ?? 2;
  }
}

/** What `make` gives, or the `Problem` that it throws; a defect is thrown on. */
export async function attempt<T>(make: () => T | Promise<T>): Promise<T | Problem> {
  try {
    return await make();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
}

/** What to write in the place of an unknown word, as a clause: `expected one of run, show; did you mean "run"?`. */
export function instead(word: string, known: readonly string[]): string {
  const meant = nearest(word, known);
  return `expected one of ${known.join(", ")}${meant === undefined ? "" : `; did you mean "${meant}"?`}`;
}

/** For a word of `command` that looks like an option and is none of `options`, which are named without dashes. */
export function noOption(command: string, word: string, options: readonly string[]): Problem {
  if (/^-\d/.test(word)) return new Problem(`${word} is below zero: no option of ${command} takes such a number`);
  const name = word.split("=")[0]!;
  return new Problem(`There is no option ${name}; ${instead(name, options.map((option) => `--${option}`))}`);
}

/** The member of `known` nearest to `word` (edit distance at most 2, or a shared prefix), for "did you mean". */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = 3;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best ?? [...known].find((candidate) => word.length > 2 && candidate.startsWith(word));
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
