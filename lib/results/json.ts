/** A map as JSON text, a member a line, for git to compare. */
export function memberLines(members: Readonly<Record<string, unknown>>): string {
  const lines = Object.entries(members).map(([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`);
  return `{\n${lines.join(",\n")}\n}\n`;
}

/** The remedy for what a run writes. */
export const runAgain = "run the experiment again to write it anew";
