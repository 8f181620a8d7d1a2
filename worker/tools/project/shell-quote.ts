/** One word of a bash command line, whatever it holds. */
export const shellQuote = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

export const shellQuoteAll = (words: readonly string[]): string => words.map(shellQuote).join(" ");
