import type { Caller } from "../calls/caller.ts";
import { type ArtifactLinks, artifactId, type LinkMethod } from "./artifact-links.ts";

type Structured = Record<string, unknown>;

const METHODS: Record<string, LinkMethod> = { get_artifact: "GET", put_artifact: "PUT" };

/**
 * A tool's result with the ids and signed URLs that only a coordinator can give. Each time it is told, its URL is fresh.
 * @param tool its name
 */
export const linkedResult = async (
  links: ArtifactLinks,
  tool: string,
  result: Structured,
  { principal }: Caller,
): Promise<Structured> => {
  if (tool === "get_call" && result.result) {
    const own = await linkedResult(links, String(result.tool), result.result as Structured, { principal } as Caller);
    return { ...result, result: own };
  }
  const { session_id: sid, path, ...rest } = result;
  if (tool === "list_artifacts" && Array.isArray(result.artifacts)) {
    const artifacts = (result.artifacts as { path: string }[]).map((one) => ({
      artifact_id: artifactId(String(sid), one.path),
      ...one,
    }));
    return { ...rest, artifacts };
  }
  const method = METHODS[tool];
  if (!method || typeof path !== "string") return result;
  const sessionId = sid as Parameters<ArtifactLinks["sign"]>[0]["sessionId"];
  const link = await links.sign({ method, sessionId, path, principal });
  return { artifact_id: artifactId(sessionId, path), path, ...rest, ...link };
};
