/** A record as Redis gives it: what it lacks is absent. */
export type Hash = Record<string, string>;

export const optional = (text: string | undefined): number | undefined => (text ? Number(text) : undefined);
