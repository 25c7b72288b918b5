/** A table in Markdown, aligned by the renderer: columns whose title `isNumber` stand to the right. */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  isNumber: (title: string) => boolean = () => false,
): string {
  const line = (cells: readonly string[]) => `| ${cells.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map((title) => isNumber(title) ? "---:" : "---")), ...rows.map(line)].join("\n");
}
