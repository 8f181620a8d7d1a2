import fc from "fast-check";
import { z } from "zod";
import type { Tool } from "../../shared/catalog/index.ts";

type Args = Record<string, unknown>;
type Schema = z.core.JSONSchema.BaseSchema;

/** Values that mean something, by the name of the argument; a tool that is new here gets them by its arguments' names. */
export type Pools = Readonly<Record<string, readonly string[]>>;

const LONG = 20_000;
/** No valid call may wait or run longer than this: thousands are made. */
const SHORT_MS = 300;
const TEXTS = [
  "",
  " ",
  "-n",
  "--",
  "'",
  '"',
  "$(",
  "`",
  "\\",
  "*",
  "[",
  "(",
  "a\nb",
  "\r\n",
  "%s%n",
  "é漢😀",
  "__proto__",
  "NaN",
];

const text = fc.oneof(
  fc.constantFrom(...TEXTS),
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ unit: "grapheme", maxLength: 40 }),
  fc.string({ minLength: LONG, maxLength: LONG + 10 }),
  fc.constantFrom("a\0b", "\ud800"),
);

/** Arguments that a tool may well accept: the right types and ranges, edges often. */
export const validArguments = (tool: Tool, pools: Pools): fc.Arbitrary<Args> => {
  const { properties = {}, required = [] } = z.toJSONSchema(tool.input, { io: "input" });
  const fields = Object.entries(properties).map(([name, schema]) => [name, valueFor(name, schema as Schema, pools)]);
  return fc.record(Object.fromEntries(fields), { requiredKeys: required as [] });
};

/** Arguments that are wrong in one way or in every way. */
export const junkArguments = (tool: Tool, pools: Pools): fc.Arbitrary<unknown> => {
  const names = Object.keys(tool.input.shape);
  const json = fc.jsonValue({ maxDepth: 3 });
  return fc.oneof(
    json,
    fc.record(Object.fromEntries(names.map((name) => [name, json])), { requiredKeys: [] }),
    fc
      .tuple(validArguments(tool, pools), fc.constantFrom(...names, "surplus", "__proto__", "constructor"), json)
      .map(([args, name, value]) => ({ ...args, [name]: value })),
    fc.tuple(validArguments(tool, pools), fc.constantFrom(...names)).map(([args, name]) => {
      const { [name]: _, ...rest } = args;
      return { ...rest, surplus: 1 };
    }),
  );
};

const valueFor = (name: string, schema: Schema, pools: Pools): fc.Arbitrary<unknown> => {
  if (schema.enum) return fc.constantFrom(...(schema.enum as string[]));
  if (schema.type === "boolean") return fc.boolean();
  if (schema.type === "integer" || schema.type === "number") return numberOf(name, schema);
  if (schema.type === "array")
    return fc.array(valueFor(name, (schema.items ?? {}) as Schema, pools), {
      maxLength: 3,
      minLength: schema.minItems ?? 0,
    });
  if (schema.type === "object") return fc.dictionary(fc.constantFrom("A", "B_1", "PATH"), text, { maxKeys: 3 });
  const known = pools[name] ?? [];
  const free = schema.pattern ? fc.stringMatching(new RegExp(schema.pattern)) : text;
  return known.length > 0
    ? fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...known) }, { weight: 1, arbitrary: free })
    : free;
};

const numberOf = (name: string, { minimum, maximum, type }: Schema): fc.Arbitrary<number> => {
  const min = Math.max(minimum ?? 0, Number.MIN_SAFE_INTEGER);
  const most = Math.min(maximum ?? Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  const max = name.endsWith("_ms") ? Math.min(most, Math.max(min, SHORT_MS)) : most;
  const between = type === "integer" ? fc.integer({ min, max }) : fc.double({ min, max, noNaN: true });
  return fc.oneof(fc.constantFrom(min, max), between);
};
