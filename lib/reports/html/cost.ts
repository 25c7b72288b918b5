/** What one kind of stage of a row took. */
export interface StageCost {
  /** `student`, `evaluation`. */
  readonly kind: string;
  /** How many there were, one or several a seed. */
  readonly runs: number;
  readonly seconds: number;
}

/** The cost of a row, stage by stage, in the order in which they ran. */
export function costOfRow(
  seconds: Readonly<Record<string, number>>,
  row: string,
  rows: readonly string[],
): readonly StageCost[] {
  const costs = new Map<string, StageCost>();
  for (const [name, value] of Object.entries(seconds)) {
    const stage = parseStage(name, rows);
    if (stage?.row !== row) continue;
    const { runs, seconds } = costs.get(stage.kind) ?? { runs: 0, seconds: 0 };
    costs.set(stage.kind, { kind: stage.kind, runs: runs + 1, seconds: seconds + value });
  }
  return [...costs.values()];
}

export function total(costs: readonly { readonly seconds: number }[]): number {
  return costs.reduce((sum, { seconds }) => sum + seconds, 0);
}

/** Takes apart a stage's name: `evaluation NFM seed 0`, `pictures NFM, guided`; where one row ends in another, the longer. */
function parseStage(
  name: string,
  rows: readonly string[],
): { readonly kind: string; readonly row: string } | undefined {
  for (const row of rows.toSorted((a, b) => b.length - a.length)) {
    const [, kind] = name.match(new RegExp(`^(.+) ${RegExp.escape(row)}(?:$|,| seed | at | teacher)`)) ?? [];
    if (kind !== undefined) return { kind, row };
  }
  return undefined;
}
