import { expect } from "chai";
import { ToolFailure } from "../../shared/failure.ts";
import { parseConfig } from "../config.ts";
import { SandboxImages } from "./sandbox-images.ts";

const OFFERED = [
  ["python", "codegen-mcp/python:1"],
  ["ruby", "registry.example/ruby:3"],
] as const;

describe("the images of a worker", () => {
  it("are found by name", () => {
    const images = new SandboxImages(OFFERED, "python");
    expect(images.defaultName).to.equal("python");
    expect(images.reference("ruby")).to.equal("registry.example/ruby:3");
  });

  it("list their names where one is unknown", () => {
    const find = () => new SandboxImages(OFFERED, "python").reference("perl");
    expect(find).to.throw(ToolFailure, 'There is no image "perl"').with.property("hint", "Images: python, ruby.");
  });

  it("offer a preferred reference as default", () => {
    const images = new SandboxImages(OFFERED, "debian:12");
    expect(images.defaultName).to.equal("default");
    expect(images.reference("default")).to.equal("debian:12");
    expect(images.names).to.deep.equal(["python", "ruby", "default"]);
  });
});

describe("SANDBOX_IMAGES", () => {
  const parse = (text: string) => parseConfig({ REDIS_URL: "redis://127.0.0.1", SANDBOX_IMAGES: text }).SANDBOX_IMAGES;

  it("names images of one's own", () => {
    expect(parse("")).to.deep.equal([]);
    expect(parse("ruby=registry.example:5000/ruby:3, bare=debian:12")).to.deep.equal([
      ["ruby", "registry.example:5000/ruby:3"],
      ["bare", "debian:12"],
    ]);
  });

  it("is refused where it is malformed", () => {
    expect(() => parse("ruby")).to.throw(/SANDBOX_IMAGES/);
    expect(() => parse("Ruby Image=x")).to.throw(/SANDBOX_IMAGES/);
  });
});
