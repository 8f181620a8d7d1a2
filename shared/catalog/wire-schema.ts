import { z } from "zod";

type JsonSchema = z.core.JSONSchema.BaseSchema;
export type ObjectSchema = { type: "object"; [key: string]: unknown };

/** Checked by us and explained by our failures; in `tools/list` each would cost every client context for nothing. */
const UNSAID = ["minLength", "maxLength", "pattern", "propertyNames"];
/** Bounds that nobody comes near by mistake. */
const OBVIOUS = { minimum: 1, maximum: 100_000 };
/** Rare, and said in the text of the answer that has them. */
const RARE = new Set(["notice", "lossy", "effects_lost", "log_path"]);

/** What a model needs to write arguments: names, types, defaults, choices and the bounds that matter. */
export const inputSchema = (schema: z.ZodObject): ObjectSchema => {
  const { $schema: _, ...wire } = z.toJSONSchema(schema, {
    io: "input",
    override: ({ jsonSchema, path }) => {
      for (const key of UNSAID) delete jsonSchema[key];
      if (path.length > 0 && jsonSchema.type === "object") delete jsonSchema.additionalProperties;
      if ((jsonSchema.minimum ?? 0) <= OBVIOUS.minimum) delete jsonSchema.minimum;
      if ((jsonSchema.maximum ?? 0) >= OBVIOUS.maximum) delete jsonSchema.maximum;
    },
  });
  return wire as ObjectSchema;
};

/**
 * The names and types of an answer's fields; what is inside of lists and records shows in the answer itself. Open: a newer
 * worker may answer with a field that this coordinator does not know yet.
 */
export const outputSchema = (schema: z.ZodObject): ObjectSchema => {
  const fields = Object.entries(z.toJSONSchema(schema).properties ?? {}).filter(([name]) => !RARE.has(name));
  const properties = fields.map(([name, field]) => [name, { type: typeOf(field as JsonSchema) }]);
  return { type: "object", properties: Object.fromEntries(properties) };
};

const typeOf = ({ type, anyOf }: JsonSchema): unknown => type ?? anyOf?.map((choice) => (choice as JsonSchema).type);
