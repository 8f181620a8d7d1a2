import { ResourceNotFoundError } from "@modelcontextprotocol/server";

/** One red pixel. */
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
const TEMPLATE = /^test:\/\/template\/([^/]+)\/data$/;

export const fixtureResources = [
  { uri: "test://static-text", name: "static-text", description: "A text", mimeType: "text/plain" },
  { uri: "test://static-binary", name: "static-binary", description: "An image", mimeType: "image/png" },
  { uri: "test://watched-resource", name: "watched-resource", description: "Never changes", mimeType: "text/plain" },
];

export const fixtureTemplates = [
  {
    uriTemplate: "test://template/{id}/data",
    name: "template",
    description: "Data of an id",
    mimeType: "application/json",
  },
];

/** @throws {ResourceNotFoundError} */
export const readFixture = (uri: string) => {
  const id = TEMPLATE.exec(uri)?.[1];
  if (id !== undefined) {
    const text = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` });
    return { uri, mimeType: "application/json", text };
  }
  switch (uri) {
    case "test://static-text":
      return { uri, mimeType: "text/plain", text: "This is the content of the static text resource." };
    case "test://static-binary":
      return { uri, mimeType: "image/png", blob: PNG };
    case "test://watched-resource":
      return { uri, mimeType: "text/plain", text: "Nobody changes it." };
    default:
      throw new ResourceNotFoundError(uri);
  }
};
