import { z } from "zod";

// JSON has no NaN and no Infinity, and says null for them: which figure it was is told where it is to be recorded.
const number = z.number().nullable().transform((value) => value ?? NaN);

/** Measurements by name. */
export const measurementsForm = z.record(
  z.string(),
  z.object({ value: number, standardError: number.exactOptional(), sampleCount: z.number() }),
);

const search = z.object({
  weight: z.number(),
  probes: z.array(z.object({ weight: z.number(), value: z.number().nullable() })),
});

/** The JSON files that stages leave: facts of a coupling, and `StageFigures`. */
export const stageForms = {
  "facts.json": z.record(z.string(), number),
  "figures.json": z.object({ figures: measurementsForm, search: search.exactOptional() }),
};
