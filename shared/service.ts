/** A part with a life of its own. `main.ts` starts services in order and stops them in reverse. */
export interface Service {
  /** Idempotent. Resolves, or returns, when the service works or has begun to try. */
  start(): Promise<void> | void;
  /** Idempotent and safe before start(). Resolves when nothing of the service runs any more. */
  stop(): Promise<void>;
}

/** Stops every service in reverse order; one that fails does not keep the others from stopping. */
export const stopInReverse = async (services: readonly Service[], onError: (error: unknown) => void): Promise<void> => {
  for (const service of services.toReversed()) await service.stop().catch(onError);
};
