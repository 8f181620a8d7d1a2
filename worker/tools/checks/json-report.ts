import type { z } from "zod";
import { parseJson } from "../project/parse-json.ts";
import { ReportError } from "../project/report-folder.ts";

/** @throws {ReportError} when it is another JSON, or none */
export const readJson = <T extends z.ZodType>(schema: T, text: string): z.infer<T> => {
  const parsed = schema.safeParse(parseJson(text));
  if (!parsed.success) throw new ReportError("its report is not the JSON that was expected");
  return parsed.data;
};
