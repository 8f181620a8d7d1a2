const BLOCK_BYTES = 512;

/** A tar archive of regular files that belong to root. @see https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html (ustar) */
export const tarOfFiles = (files: ReadonlyMap<string, Buffer>, mode: number): Buffer =>
  Buffer.concat([
    ...[...files].flatMap(([name, content]) => entry(name, content, mode)),
    Buffer.alloc(2 * BLOCK_BYTES),
  ]);

const entry = (name: string, content: Buffer, mode: number): Buffer[] => {
  const header = Buffer.alloc(BLOCK_BYTES);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, "0")}\0`;
  header.write(name, 0, 100);
  header.write(octal(mode, 7), 100);
  header.write(octal(0, 7), 108); // uid
  header.write(octal(0, 7), 116); // gid
  header.write(octal(content.length, 11), 124);
  header.write(octal(0, 11), 136); // mtime
  header.write(" ".repeat(8), 148); // the checksum counts itself as spaces
  header.write("0", 156); // a regular file
  header.write("ustar\x0000", 257);
  const checksum = header.reduce((sum, byte) => sum + byte, 0);
  header.write(`${checksum.toString(8).padStart(6, "0")}\0 `, 148);
  const padding = Buffer.alloc((BLOCK_BYTES - (content.length % BLOCK_BYTES)) % BLOCK_BYTES);
  return [header, content, padding];
};
