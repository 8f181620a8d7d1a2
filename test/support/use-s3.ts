import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { startFauxqs } from "fauxqs";

type Server = Awaited<ReturnType<typeof startFauxqs>>;

const REGION = "us-east-1";

/** A server of our own that speaks S3, with one empty bucket. What the SDK needs to know of it stands in the environment meanwhile. */
export const useS3 = () => {
  let server: Server | undefined;
  const before_ = { id: process.env.AWS_ACCESS_KEY_ID, secret: process.env.AWS_SECRET_ACCESS_KEY };
  const endpoint = (): string => `http://127.0.0.1:${server?.port}`;
  before(async () => {
    process.env.AWS_ACCESS_KEY_ID = "test";
    process.env.AWS_SECRET_ACCESS_KEY = "test";
    server = await startFauxqs({ port: 0, logger: false });
    const client = new S3Client({ endpoint: endpoint(), region: REGION, forcePathStyle: true });
    await client.send(new CreateBucketCommand({ Bucket: "checkpoints" }));
    client.destroy();
  });
  after(async () => {
    await server?.stop();
    restore("AWS_ACCESS_KEY_ID", before_.id);
    restore("AWS_SECRET_ACCESS_KEY", before_.secret);
  });
  return {
    bucket: "checkpoints",
    region: REGION,
    get endpoint(): string {
      return endpoint();
    },
    stop: async (): Promise<void> => {
      await server?.stop();
      server = undefined;
    },
  };
};

const restore = (name: string, value: string | undefined): void => {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
};
