/** Something that is timed. */
export interface Contender {
  /** Does its work `calls` times, to the last result; gives the processor seconds of a call, all threads. */
  run(calls: number): Promise<number>;
}

export interface TurnOptions {
  /** Turns of each contender. */
  readonly rounds: number;
  /** About how long a turn is, in seconds; at least one call. */
  readonly turnSeconds: number;
  /** Milliseconds since some start. */
  readonly clock?: () => number;
  /** Called after every turn, the untimed first one included. An error thrown here stops the timing. */
  readonly onTurn?: (name: string) => void;
}

/** What became of one contender. */
export interface Timed {
  /** Seconds of the first call: recording, compiling, allocating. */
  readonly firstSeconds: number;
  /** Calls a turn. */
  readonly calls: number;
  /** Seconds of a call, `[rounds]`: entry i of all contenders is one round. */
  readonly seconds: Float64Array;
  /** Processor seconds of a call, `[rounds]`: what a busy machine changes least. */
  readonly processor: Float64Array;
}

/**
 * Times contenders in turns, A B C A B C: what slows the machine for a while
 * slows all contenders of a round, and their ratios within the round stand.
 *
 * @returns by name; of a contender whose first call failed, the error instead
 */
export async function timeInTurns(
  contenders: Readonly<Record<string, Contender>>,
  { rounds, turnSeconds, clock = () => performance.now(), onTurn }: TurnOptions,
): Promise<Record<string, Timed | Error>> {
  const timed: Record<string, Timed | Error> = {};
  const turn = async (name: string, calls: number) => {
    const start = clock();
    const processor = await contenders[name]!.run(calls);
    return { seconds: (clock() - start) / 1000 / calls, processor };
  };
  for (const name of Object.keys(contenders)) {
    try {
      const { seconds: firstSeconds } = await turn(name, 1);
      // The faster of two: what a second call still makes for good would shorten all turns to a call.
      const seconds = Math.min((await turn(name, 1)).seconds, (await turn(name, 1)).seconds);
      const calls = Math.max(1, Math.min(10_000, Math.round(turnSeconds / seconds)));
      timed[name] = { firstSeconds, calls, seconds: new Float64Array(rounds), processor: new Float64Array(rounds) };
    } catch (error) {
      timed[name] = error instanceof Error ? error : new Error(String(error));
    }
    onTurn?.(name);
  }
  for (let round = 0; round < rounds; round++) {
    for (const [name, result] of Object.entries(timed)) {
      if (!(result instanceof Error)) {
        const { seconds, processor } = await turn(name, result.calls);
        result.seconds[round] = seconds;
        result.processor[round] = processor;
      }
      onTurn?.(name);
    }
  }
  return timed;
}

/** Median and quartiles of `values`, which are not empty. */
export function quartiles(values: ArrayLike<number>): { low: number; median: number; high: number } {
  const sorted = Float64Array.from(values).sort();
  const at = (share: number) => {
    const place = share * (sorted.length - 1), below = Math.floor(place);
    return sorted[below]! + (place - below) * (sorted[Math.min(below + 1, sorted.length - 1)]! - sorted[below]!);
  };
  return { low: at(0.25), median: at(0.5), high: at(0.75) };
}
